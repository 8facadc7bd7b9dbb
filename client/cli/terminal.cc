#include "client/cli/terminal.h"

#include <stdlib.h>
#include <unistd.h>

#include <algorithm>
#include <iostream>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"

namespace holdfast::client {
namespace {

constexpr uint64_t kBarWidth = 30;
constexpr char kClearLine[] = "\r\x1b[K";

bool WantsColour() {
  const char* no_colour = getenv("NO_COLOR");
  return IsWatched() && (no_colour == nullptr || *no_colour == '\0');
}

absl::string_view CodeOf(Colour colour) {
  switch (colour) {
    case Colour::kGood:
      return "32";
    case Colour::kWarning:
      return "33";
    case Colour::kBad:
      return "31";
    case Colour::kFaint:
      return "2";
  }
  return "0";
}

}  // namespace

bool IsWatched() { return isatty(STDOUT_FILENO) == 1; }
bool IsErrorWatched() { return isatty(STDERR_FILENO) == 1; }
bool IsAnswering() { return isatty(STDIN_FILENO) == 1; }

std::string Paint(Colour colour, absl::string_view text) {
  if (!WantsColour()) return std::string(text);
  return absl::StrCat("\x1b[", CodeOf(colour), "m", text, "\x1b[0m");
}

bool Confirm(absl::string_view question) {
  std::cerr << question << " [y/N] " << std::flush;
  std::string answer;
  if (!std::getline(std::cin, answer)) return false;
  answer = absl::AsciiStrToLower(absl::StripAsciiWhitespace(answer));
  return answer == "y" || answer == "yes";
}

void Progress::Show(uint64_t done, uint64_t total) {
  if (!shows_ || total == 0) return;
  const uint64_t filled = std::min(kBarWidth, done * kBarWidth / total);
  std::cerr << kClearLine << what_ << " [" << std::string(filled, '#')
            << std::string(kBarWidth - filled, '.') << "] " << done << " of " << total
            << std::flush;
  is_shown_ = true;
}

void Progress::Clear() {
  if (is_shown_) std::cerr << kClearLine << std::flush;
  is_shown_ = false;
}

}  // namespace holdfast::client
