# The shapes of our targets. All collect the sources of their folder, so that a
# new file needs no edit here.

# gw_library(NAME LIBRARY...): a static library of this folder's C files.
function(gw_library name)
  file(GLOB sources CONFIGURE_DEPENDS *.c)
  list(FILTER sources EXCLUDE REGEX "/main\\.c$")
  add_library(${name} STATIC ${sources})
  target_link_libraries(${name} PUBLIC gw_flags ${ARGN})
endfunction()

# gw_program(NAME SOURCE... LINK LIBRARY...): a program in the top of the build folder.
function(gw_program name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "LINK")
  add_executable(${name} ${arg_UNPARSED_ARGUMENTS})
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}")
  target_link_libraries(${name} PRIVATE gw_flags ${arg_LINK})
endfunction()
