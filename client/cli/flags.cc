#include "client/cli/flags.h"

#include <algorithm>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace holdfast::client {

absl::StatusOr<Arguments> Arguments::Parse(const std::vector<std::string>& arguments,
                                           const std::vector<FlagSpec>& known) {
  Arguments parsed;
  for (size_t i = 0; i < arguments.size(); ++i) {
    const std::string& argument = arguments[i];
    if (argument == "--") {
      while (++i < arguments.size()) parsed.positional_.push_back(arguments[i]);
      break;
    }
    if (argument == "-h") {
      parsed.values_.emplace("help", "");
      continue;
    }
    if (argument.size() < 2 || argument[0] != '-') {
      parsed.positional_.push_back(argument);
      continue;
    }
    const size_t equals = argument.find('=');
    std::string flag = argument.substr(0, equals);
    // --pending-only is as good as --pending_only.
    if (flag.size() > 2) std::replace(flag.begin() + 2, flag.end(), '-', '_');
    const auto spec = std::find_if(known.begin(), known.end(), [&](const FlagSpec& candidate) {
      return flag == absl::StrCat("--", candidate.name);
    });
    if (spec == known.end()) {
      return absl::InvalidArgumentError(absl::StrCat("unknown flag ", flag));
    }
    std::string value;
    if (equals != std::string::npos) {
      if (!spec->takes_value) {
        return absl::InvalidArgumentError(absl::StrCat(flag, " takes no value"));
      }
      value = argument.substr(equals + 1);
    } else if (spec->takes_value) {
      if (i + 1 == arguments.size()) {
        return absl::InvalidArgumentError(absl::StrCat(flag, " needs a value: ", flag, "=..."));
      }
      value = arguments[++i];
    }
    if (!parsed.values_.emplace(std::string(spec->name), std::move(value)).second) {
      return absl::InvalidArgumentError(absl::StrCat(flag, " is given twice"));
    }
  }
  return parsed;
}

std::string Arguments::Get(absl::string_view flag, absl::string_view otherwise) const {
  const auto found = values_.find(std::string(flag));
  return found == values_.end() ? std::string(otherwise) : found->second;
}

absl::StatusOr<uint64_t> Arguments::GetNumber(absl::string_view flag, uint64_t otherwise,
                                              uint64_t min) const {
  if (!Has(flag)) return otherwise;
  const std::string text = Get(flag, "");
  uint64_t value = 0;
  if (!absl::SimpleAtoi(text, &value) || value < min) {
    return absl::InvalidArgumentError(absl::StrCat(
        "--", flag, "=", text, " is not possible: a whole number of at least ", min, " is needed"));
  }
  return value;
}

absl::StatusOr<absl::Duration> Arguments::GetDuration(absl::string_view flag,
                                                      absl::Duration otherwise) const {
  if (!Has(flag)) return otherwise;
  const std::string text = Get(flag, "");
  double seconds = 0;
  absl::Duration duration;
  if (absl::SimpleAtod(text, &seconds)) {
    duration = absl::Seconds(seconds);
  } else if (!absl::ParseDuration(text, &duration)) {
    duration = absl::ZeroDuration();
  }
  if (duration <= absl::ZeroDuration()) {
    return absl::InvalidArgumentError(absl::StrCat(
        "--", flag, "=", text, " is not possible: a time such as 90s or 2m is needed"));
  }
  return duration;
}

}  // namespace holdfast::client
