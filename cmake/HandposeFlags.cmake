# Warnings, sanitizers and the floating-point rules of the kernels.

function(handpose_set_flags target)
  target_compile_options(${target} PRIVATE -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wsign-conversion)
  if(HANDPOSE_WERROR)
    target_compile_options(${target} PRIVATE -Werror)
  endif()
  if(HANDPOSE_SANITIZE)
    target_compile_options(${target} PUBLIC
      -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer)
    target_link_options(${target} PUBLIC -fsanitize=address,undefined)
  endif()
endfunction()

# Every level has to round alike: no contraction into fused multiply-add. -O3 because at -O2 the row loops stay scalar.
set(HANDPOSE_KERNEL_FLAGS -ffp-contract=off -fno-math-errno -fno-trapping-math)
function(handpose_set_kernel_flags target)
  target_compile_options(${target} PRIVATE ${HANDPOSE_KERNEL_FLAGS} $<$<CONFIG:Release>:-O3>)
endfunction()

# The flags as one line, for show_config.
function(handpose_flags_text variable)
  string(TOUPPER "${CMAKE_BUILD_TYPE}" type)
  string(JOIN " " text ${CMAKE_CXX_FLAGS} ${CMAKE_CXX_FLAGS_${type}} ${HANDPOSE_KERNEL_FLAGS})
  string(REPLACE "\"" "" text "${text}")
  set(${variable} "${text}" PARENT_SCOPE)
endfunction()
