// What a command may do because people watch: colours, a line that is written over, a question.

#pragma once

#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"

namespace holdfast::client {

// Whether standard output, or standard error, is a terminal; input for IsAnswering.
bool IsWatched();
bool IsErrorWatched();
bool IsAnswering();

enum class Colour { kGood, kWarning, kBad, kFaint };

// `text` in a colour, if standard output is a terminal and NO_COLOR is not set or empty
// (no-color.org).
std::string Paint(Colour colour, absl::string_view text);

// Asks on standard error, and whether the answer is yes. REQUIRES: IsAnswering().
bool Confirm(absl::string_view question);

// How far a long command has come, on standard error: a bar that is written over on a terminal,
// nothing otherwise. Not thread-safe.
class Progress final {
 public:
  explicit Progress(absl::string_view what) : what_(what), shows_(IsErrorWatched()) {}
  ~Progress() { Clear(); }
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  void Show(uint64_t done, uint64_t total);
  // Removes the bar, so that other lines can be written.
  void Clear();

 private:
  const std::string what_;
  const bool shows_;
  bool is_shown_ = false;
};

}  // namespace holdfast::client
