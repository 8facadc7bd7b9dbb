// The first thing that went wrong in a simulation.

#pragma once

#include <string>

#include "absl/strings/str_cat.h"

namespace holdfast::sim {

class Failure {
 public:
  template <typename... Parts>
  void Say(const Parts&... parts) {
    if (text_.empty()) text_ = absl::StrCat(parts...);
  }
  bool happened() const { return !text_.empty(); }
  const std::string& text() const { return text_; }

 private:
  std::string text_;
};

}  // namespace holdfast::sim
