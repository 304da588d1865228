// Errors of arguments: thrown here, raised in Python as the classes of handpose_native.errors.
#pragma once

#include <stdexcept>
#include <string>

#include "pybind.hpp"

namespace handpose::bindings {

// handpose_native.ArgumentError
struct ArgumentError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// handpose_native.DTypeError
struct DTypeError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// Names what is being checked, for messages of the form "function: argument must be ...; got ...".
struct Subject {
  const char* function;
  const char* argument;

  std::string must(const std::string& expected, const std::string& got) const {
    return std::string(function) + ": " + argument + " must be " + expected + "; got " + got;
  }
};

// What came, in few words: dtype and shape of an array, else the value's text.
std::string describe(py::handle value);

void register_errors(py::module_& module);

}  // namespace handpose::bindings
