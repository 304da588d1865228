# Warnings, sanitizers and the floating-point rules of the kernels.

function(handpose_set_flags target)
  target_compile_options(${target} PRIVATE -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wsign-conversion)
  if(HANDPOSE_WERROR)
    target_compile_options(${target} PRIVATE -Werror)
  endif()
  if(HANDPOSE_SANITIZE)
    # "ON" is what goes together; -DHANDPOSE_SANITIZE=thread stands alone.
    set(sanitizers "address,undefined")
    if(NOT HANDPOSE_SANITIZE STREQUAL "ON")
      set(sanitizers "${HANDPOSE_SANITIZE}")
    endif()
    target_compile_options(${target} PUBLIC
      -fsanitize=${sanitizers} -fno-sanitize-recover=all -fno-omit-frame-pointer)
    target_link_options(${target} PUBLIC -fsanitize=${sanitizers})
  endif()
endfunction()

# Every level has to round alike: no contraction into fused multiply-add. -O3 because at -O2 the row loops stay scalar.
set(HANDPOSE_KERNEL_FLAGS -ffp-contract=off -fno-math-errno -fno-trapping-math)
function(handpose_set_kernel_flags target)
  target_compile_options(${target} PRIVATE ${HANDPOSE_KERNEL_FLAGS} $<$<CONFIG:Release>:-O3>)
endfunction()

# Adds NAME_LEVEL.cpp of every kernel named to the level that this processor may have, with the level's own flags, which
# no other file gets: the rest has to run on any processor of the architecture.
function(handpose_add_level_sources target)
  if(CMAKE_SYSTEM_PROCESSOR MATCHES "^(x86_64|AMD64|amd64)$")
    set(level avx2)
    set(flags "-mavx2;-mf16c;-mno-fma")
  elseif(CMAKE_SYSTEM_PROCESSOR MATCHES "^(aarch64|arm64)$")
    set(level neon)
    set(flags "")
  else()
    return()
  endif()
  foreach(kernel IN LISTS ARGN)
    set(source "${CMAKE_CURRENT_SOURCE_DIR}/src/cpp/kernels/${kernel}_${level}.cpp")
    target_sources(${target} PRIVATE "${source}")
    set_source_files_properties("${source}" PROPERTIES COMPILE_OPTIONS "${flags}")
  endforeach()
endfunction()

# The flags as one line, for show_config.
function(handpose_flags_text variable)
  string(TOUPPER "${CMAKE_BUILD_TYPE}" type)
  string(JOIN " " text ${CMAKE_CXX_FLAGS} ${CMAKE_CXX_FLAGS_${type}} ${HANDPOSE_KERNEL_FLAGS})
  string(REPLACE "\"" "" text "${text}")
  set(${variable} "${text}" PARENT_SCOPE)
endfunction()
