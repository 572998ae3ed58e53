# How every file of ours is compiled: the interface library gw_flags.
set(CMAKE_C_STANDARD 11)
set(CMAKE_C_STANDARD_REQUIRED ON)
set(CMAKE_C_EXTENSIONS ON)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)

find_package(Threads REQUIRED)

add_library(gw_flags INTERFACE)
target_include_directories(gw_flags INTERFACE "${CMAKE_SOURCE_DIR}")
target_compile_definitions(gw_flags INTERFACE _GNU_SOURCE GW_VERSION="${PROJECT_VERSION}")
target_link_libraries(gw_flags INTERFACE Threads::Threads)
target_compile_options(gw_flags INTERFACE
  -Wall -Wextra -Wconversion -Wno-sign-conversion -Wshadow -Wstrict-prototypes
  -Wmissing-prototypes -Wundef -Wvla -Wformat=2 -Wcast-qual -Wpointer-arith -Wwrite-strings
  -Wswitch-enum -fno-common -fPIE)
target_link_options(gw_flags INTERFACE -pie)
if(GW_WERROR)
  target_compile_options(gw_flags INTERFACE -Werror)
endif()

# x86-64 swaps 16 bytes at once only where it may (policy/rate_cell.h).
include(CheckCCompilerFlag)
check_c_compiler_flag(-mcx16 gw_has_mcx16)
if(gw_has_mcx16)
  target_compile_options(gw_flags INTERFACE -mcx16)
endif()

if(GW_HARDEN)
  set(hardening -fstack-protector-strong -fstack-clash-protection -fcf-protection
    -ftrivial-auto-var-init=zero)
  foreach(flag ${hardening})
    string(MAKE_C_IDENTIFIER "gw_has${flag}" has)
    check_c_compiler_flag(${flag} ${has}) # Not every architecture has every flag.
    if(${has})
      target_compile_options(gw_flags INTERFACE ${flag})
    endif()
  endforeach()
  target_compile_options(gw_flags INTERFACE -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=3)
  target_link_options(gw_flags INTERFACE -Wl,-z,relro,-z,now,-z,noexecstack -Wl,--as-needed)
endif()
