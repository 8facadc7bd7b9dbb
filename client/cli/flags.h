// A command's arguments. Every flag is written --name=value or --name value, with _ or - within the
// name; one that is not known is an error, never ignored.

#pragma once

#include <map>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace holdfast::client {

// How the commands end; the numbers of sysexits.h.
enum ExitCode : int {
  kExitOk = 0,
  kExitRejected = 1,      // Done, but something was not accepted.
  kExitWarnings = 1,      // Done, and something could be better: a diagnosis.
  kExitProblems = 2,      // Done, and something is wrong: a diagnosis.
  kExitUsage = 64,        // The arguments are wrong.
  kExitNoInput = 66,      // The file cannot be read.
  kExitUnavailable = 69,  // The daemon could not be reached.
  kExitTemporary = 75,    // Stopped before the end; run it again.
};

// A flag that a command knows.
struct FlagSpec {
  absl::string_view name;  // Points to static storage.
  bool takes_value;
};

class Arguments final {
 public:
  // INVALID_ARGUMENT that names the flag: unknown, given twice, or without its value.
  static absl::StatusOr<Arguments> Parse(const std::vector<std::string>& arguments,
                                         const std::vector<FlagSpec>& known);

  bool Has(absl::string_view flag) const { return values_.count(std::string(flag)) > 0; }
  // The flag's value, or `otherwise`.
  std::string Get(absl::string_view flag, absl::string_view otherwise) const;
  // As Get, for a whole number of at least `min`; INVALID_ARGUMENT that names the flag.
  absl::StatusOr<uint64_t> GetNumber(absl::string_view flag, uint64_t otherwise,
                                     uint64_t min) const;
  // As Get, for a duration above zero: "90s", "2m", or a bare number of seconds.
  absl::StatusOr<absl::Duration> GetDuration(absl::string_view flag,
                                             absl::Duration otherwise) const;

  // What is not a flag, in order. "-" is one of these, and all that follows "--".
  const std::vector<std::string>& positional() const { return positional_; }

 private:
  std::map<std::string, std::string> values_;
  std::vector<std::string> positional_;
};

}  // namespace holdfast::client
