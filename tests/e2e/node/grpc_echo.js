// SPDX-License-Identifier: Apache-2.0
// The service of echo.proto, for both sides.
"use strict";
const path = require("path");
const grpc = require("@grpc/grpc-js");
const loader = require("@grpc/proto-loader");

const definition = loader.loadSync(path.join(__dirname, "echo.proto"), { keepCase: true, defaults: true });

module.exports = { grpc, Echo: grpc.loadPackageDefinition(definition).sluice.test.Echo };
