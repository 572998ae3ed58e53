# The libraries of others. Each gets one target, and each target is linked by
# the one folder that may include its headers. Those that must be newer than
# Debian 12's are linked statically, from .deps/ where that exists.

set(prefix "")
if(EXISTS "${GW_DEPS}/usr/include")
  set(prefix "${GW_DEPS}/usr")
  # Kernel headers come with it, so that all of us see the same io_uring.
  target_include_directories(gw_flags SYSTEM INTERFACE
    "${prefix}/include" "${prefix}/include/${CMAKE_LIBRARY_ARCHITECTURE}")
endif()

# gw_find_library(TARGET NAME HEADER): NAME is a file name such as liburing.a, or a plain name.
function(gw_find_library target name header)
  find_library(${target}_library NAMES ${name}
    HINTS "${prefix}/lib/${CMAKE_LIBRARY_ARCHITECTURE}" "${prefix}/lib")
  find_path(${target}_include NAMES ${header} HINTS "${prefix}/include")
  if(NOT ${target}_library OR NOT ${target}_include)
    message(FATAL_ERROR "${name} with ${header} was not found: run './dev deps'")
  endif()
  mark_as_advanced(${target}_library ${target}_include)
  add_library(${target} INTERFACE IMPORTED GLOBAL)
  target_link_libraries(${target} INTERFACE "${${target}_library}")
  target_include_directories(${target} INTERFACE "${${target}_include}")
endfunction()

# gw_require(TARGET HEADER LEAST MACRO...): the version that the macros in HEADER
# make up; it is left in TARGET_version.
function(gw_require target header least)
  set(version "")
  file(STRINGS "${${target}_include}/${header}" lines REGEX "^#[ \t]*define[ \t].*VERSION")
  foreach(macro ${ARGN})
    string(REGEX MATCH "${macro}[ \t]+\"?([0-9.]+)" found "${lines}")
    string(APPEND version ".${CMAKE_MATCH_1}")
  endforeach()
  string(SUBSTRING "${version}" 1 -1 version)
  if(version VERSION_LESS least)
    message(FATAL_ERROR "${${target}_include}/${header} is of version ${version}, but at "
      "least ${least} is needed: run './dev deps'")
  endif()
  message(STATUS "${target}: ${${target}_library} ${version}")
  set(${target}_version "${version}" PARENT_SCOPE)
endfunction()

gw_find_library(gw_uring liburing.a liburing.h)
gw_require(gw_uring liburing/io_uring_version.h 2.9
  IO_URING_VERSION_MAJOR IO_URING_VERSION_MINOR)

# llhttp before 9.2.1 can be smuggled through.
gw_find_library(gw_llhttp libllhttp.a llhttp.h)
gw_require(gw_llhttp llhttp.h 9.2.1
  LLHTTP_VERSION_MAJOR LLHTTP_VERSION_MINOR LLHTTP_VERSION_PATCH)

# nghttp2 before 1.64 lacks the limits on CONTINUATION and on resets (CVE-2024-28182, CVE-2023-44487).
gw_find_library(gw_nghttp2 libnghttp2.a nghttp2/nghttp2.h)
gw_require(gw_nghttp2 nghttp2/nghttp2ver.h 1.64 NGHTTP2_VERSION)

gw_find_library(gw_msgpack libmsgpack-c.a msgpack.h)
gw_require(gw_msgpack msgpack/version_master.h 4.0
  MSGPACK_VERSION_MAJOR MSGPACK_VERSION_MINOR MSGPACK_VERSION_REVISION)

gw_find_library(gw_yaml yaml yaml.h)
gw_find_library(gw_jansson jansson jansson.h)
gw_find_library(gw_cares cares ares.h)
find_package(OpenSSL 3.0 REQUIRED)
add_library(gw_openssl INTERFACE)
target_link_libraries(gw_openssl INTERFACE OpenSSL::SSL OpenSSL::Crypto)
if(GW_TESTS)
  gw_find_library(gw_cmocka cmocka cmocka.h)
endif()
