# The shapes of our targets. All collect the sources of their folder, so that a
# new file needs no edit here.

# gw_library(NAME LIBRARY...): a static library of this folder's C files.
# Libraries of ours that do not exist yet are left out.
function(gw_library name)
  file(GLOB sources CONFIGURE_DEPENDS *.c)
  list(FILTER sources EXCLUDE REGEX "/main\\.c$")
  if(NOT sources)
    return()
  endif()
  add_library(${name} STATIC ${sources})
  target_link_libraries(${name} PUBLIC gw_flags)
  foreach(library ${ARGN})
    target_link_libraries(${name} PUBLIC $<TARGET_NAME_IF_EXISTS:${library}>)
  endforeach()
endfunction()

# gw_program(NAME SOURCE... LINK LIBRARY...): a program in the top of the build folder.
function(gw_program name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "LINK")
  add_executable(${name} ${arg_UNPARSED_ARGUMENTS})
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}")
  target_link_libraries(${name} PRIVATE gw_flags)
  foreach(library ${arg_LINK})
    target_link_libraries(${name} PRIVATE $<TARGET_NAME_IF_EXISTS:${library}>)
  endforeach()
endfunction()
