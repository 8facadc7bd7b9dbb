// The table of all settings.

#pragma once

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"

#include "server/daemon/config.h"

namespace holdfast::daemon {

// The environment variable is `name`, the flag its lower case.
struct Setting {
  absl::string_view name;
  absl::string_view group;     // A heading of --help; settings of one group stand together.
  absl::string_view fallback;  // The default, as one would write it.
  absl::string_view help;      // A sentence or two.
  absl::Status (*apply)(absl::string_view value, Config& config);
  bool is_switch = false;  // True or false: as a flag it may stand without a value.
  bool is_secret = false;
};

absl::Span<const Setting> Settings();

// The setting of that name, or nullptr.
const Setting* FindSetting(absl::string_view name);

}  // namespace holdfast::daemon
