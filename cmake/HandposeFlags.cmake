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

# Adds NAME_LEVEL.cpp of every kernel named, for the levels that this processor may have, with the level's own flags,
# which no other file gets: the rest has to run on any processor of the architecture. A level need not have every kernel.
function(handpose_add_level_sources target)
  if(CMAKE_SYSTEM_PROCESSOR MATCHES "^(x86_64|AMD64|amd64)$")
    set(levels avx2)
    set(flags_avx2 -mavx2 -mf16c -mno-fma)
    include(CheckCXXCompilerFlag)
    check_cxx_compiler_flag(-mavx512vnni HANDPOSE_AVX512)  # GCC 8 or newer
    if(HANDPOSE_AVX512)
      list(APPEND levels avx512)
      target_compile_definitions(${target} PUBLIC HANDPOSE_AVX512)
    endif()
    # GCC's AVX-512 brings FMA; -ffp-contract=off keeps it out. GCC 12 warns of its own header (bug 105593).
    set(flags_avx512 -mavx512f -mavx512bw -mavx512vl -mavx512vbmi -mavx512vnni -mf16c
      $<$<CXX_COMPILER_ID:GNU>:-Wno-maybe-uninitialized> $<$<CXX_COMPILER_ID:GNU>:-Wno-uninitialized>)
  elseif(CMAKE_SYSTEM_PROCESSOR MATCHES "^(aarch64|arm64)$")
    set(levels neon)
    set(flags_neon "")
  endif()
  foreach(kernel IN LISTS ARGN)
    foreach(level IN LISTS levels)
      set(source "${CMAKE_CURRENT_SOURCE_DIR}/src/cpp/kernels/${kernel}_${level}.cpp")
      if(EXISTS "${source}")
        target_sources(${target} PRIVATE "${source}")
        set_source_files_properties("${source}" PROPERTIES COMPILE_OPTIONS "${flags_${level}}")
      endif()
    endforeach()
  endforeach()
endfunction()

# The flags as one line, for show_config.
function(handpose_flags_text variable)
  string(TOUPPER "${CMAKE_BUILD_TYPE}" type)
  string(JOIN " " text ${CMAKE_CXX_FLAGS} ${CMAKE_CXX_FLAGS_${type}} ${HANDPOSE_KERNEL_FLAGS})
  string(REPLACE "\"" "" text "${text}")
  set(${variable} "${text}" PARENT_SCOPE)
endfunction()
