// The configuration. Each line of the input is a flag or argument, or NAME=value for the
// environment. What is accepted can be said back, and no secret shows anywhere.

#include "server/daemon/config.h"

#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_split.h"

#include "server/base/check.h"
#include "server/daemon/settings.h"
#include "tests/fuzz/targets.h"

namespace holdfast::fuzz {
namespace {

using daemon::Effective;
using daemon::Environment;
using daemon::Reading;

struct Given {
  std::vector<std::string> flags;
  Environment environment;
};

Given Parse(absl::string_view input) {
  Given given;
  for (const absl::string_view line : absl::StrSplit(input, '\n')) {
    const size_t equals = line.find('=');
    if (absl::StartsWith(line, "-") || equals == absl::string_view::npos) {
      given.flags.emplace_back(line);
    } else {
      given.environment[std::string(line.substr(0, equals))] = std::string(line.substr(equals + 1));
    }
  }
  return given;
}

// Described alike whatever its secrets are, so none is in the description.
void ShowsNoSecret(const Reading& reading) {
  Reading other = reading;
  for (Effective& effective : other.effective) {
    if (effective.setting->is_secret && !effective.value.empty()) effective.value = "another one";
  }
  HOLDFAST_CHECK(daemon::DescribeSettings(reading) == daemon::DescribeSettings(other));
}

// The values in force, given as variables, come to the same values.
void CanBeSaidBack(const Reading& reading) {
  Environment environment;
  for (const Effective& effective : reading.effective) {
    if (effective.source == daemon::Source::kDefault) continue;
    environment[std::string(effective.setting->name)] = effective.value;
  }
  const absl::StatusOr<Reading> again = daemon::ReadConfig({}, environment);
  HOLDFAST_CHECK(again.ok());
  HOLDFAST_CHECK(again->effective.size() == reading.effective.size());
  for (size_t i = 0; i < again->effective.size(); ++i) {
    // An empty variable counts as not set; an empty flag is a value.
    if (reading.effective[i].value.empty()) continue;
    HOLDFAST_CHECK(again->effective[i].value == reading.effective[i].value);
  }
}

}  // namespace

void Config(absl::string_view input) {
  const Given given = Parse(input);
  const absl::StatusOr<Reading> reading = daemon::ReadConfig(given.flags, given.environment);
  if (!reading.ok()) {
    HOLDFAST_CHECK(absl::IsNotFound(reading.status()) || absl::IsInvalidArgument(reading.status()));
    HOLDFAST_CHECK(!reading.status().message().empty());
    return;
  }
  HOLDFAST_CHECK(reading->effective.size() == daemon::Settings().size());
  ShowsNoSecret(*reading);
  // Who asks for help gets it, whatever else there is.
  if (reading->command == daemon::Command::kHelp || reading->command == daemon::Command::kVersion) {
    return;
  }
  HOLDFAST_CHECK(reading->config.journal.Validate().ok());
  HOLDFAST_CHECK(reading->config.database.Validate().ok());
  HOLDFAST_CHECK(!reading->config.database.endpoints.empty());
  HOLDFAST_CHECK(reading->config.drain_timeout >= absl::ZeroDuration());
  for (const Effective& effective : reading->effective) {
    // An empty flag is no variable; the rest can be told.
    if (effective.source == daemon::Source::kFlag && effective.value.empty()) return;
  }
  CanBeSaidBack(*reading);
}

}  // namespace holdfast::fuzz
