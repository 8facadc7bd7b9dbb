#include "client/cli/tally.h"

#include <optional>

#include "absl/strings/str_cat.h"

#include "client/client.h"

namespace holdfast::client {

void Tally::Read() {
  absl::MutexLock lock(&mu_);
  ++counts_.lines;
}

void Tally::Unreadable(uint64_t line, absl::string_view why) {
  absl::MutexLock lock(&mu_);
  ++counts_.unreadable;
  Complain(line, "unreadable", why);
}

void Tally::HeldBack(uint64_t line, absl::string_view why) {
  absl::MutexLock lock(&mu_);
  ++counts_.held_back;
  Complain(line, "held back", why);
}

void Tally::AlreadyHeld() {
  absl::MutexLock lock(&mu_);
  ++counts_.already_held;
}

void Tally::Outcome(uint64_t line, const absl::Status& status) {
  const std::optional<v1::EventError> error = ErrorOf(status);
  absl::MutexLock lock(&mu_);
  if (status.ok()) {
    ++counts_.accepted;
  } else if (!error.has_value()) {
    // Not a word about this event, but about the connection, which is told once, elsewhere.
    ++counts_.not_acknowledged;
  } else if (error->disposition() == v1::DISPOSITION_QUARANTINED) {
    ++counts_.quarantined;
    Complain(line, "quarantined", status.message());
  } else {
    ++counts_.refused;
    Complain(line, "refused", status.message());
  }
}

Tally::Counts Tally::counts() const {
  absl::MutexLock lock(&mu_);
  return counts_;
}

std::vector<std::string> Tally::complaints() const {
  absl::MutexLock lock(&mu_);
  return complaints_;
}

void Tally::Complain(uint64_t line, absl::string_view what, absl::string_view why) {
  if (complaints_.size() < kComplaintsMax) {
    complaints_.push_back(absl::StrCat("line ", line, ": ", what, ": ", why));
  }
}

}  // namespace holdfast::client
