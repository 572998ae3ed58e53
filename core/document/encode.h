/* SPDX-License-Identifier: Apache-2.0 */
/*
 * encode.h - a document, or a part of one, as msgpack or JSON or YAML.
 *
 * What does not fit sets the writer's overflow mark. Threads: pure functions.
 */
#pragma once

#include "core/document/document.h"
#include "core/document/pack.h"

void encode_msgpack(struct pack *p, const struct document_node *root);
/* One line, no blanks. Floats in the shortest form that reads back the same. */
void encode_json(struct writer *w, const struct document_node *root);
/* For people: block style, texts quoted only where they need it. Ends in a newline. */
void encode_yaml(struct writer *w, const struct document_node *root);

/* A text as YAML reads it back: plain where that is possible, else in double quotes. */
void encode_yaml_text(struct writer *w, struct slice text);
