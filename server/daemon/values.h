// Settings as text, read into what they mean. Each reader checks the whole text and the range; its
// InvalidArgument says what would be right, and never repeats the value.

#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"

#include "server/mysql/pool.h"

namespace holdfast::daemon {

// "true", "false", also 1 and 0, yes and no, on and off; in any case.
absl::Status ReadBool(absl::string_view text, bool* value);

absl::Status ReadInteger(absl::string_view text, int least, int most, int* value);

// "64MiB", "2GiB", "512KiB", or a number of bytes.
absl::Status ReadBytes(absl::string_view text, uint64_t least, uint64_t most, uint64_t* value);

// "30s", "500ms", "1h", "1h30m"; a number alone is seconds.
absl::Status ReadDuration(absl::string_view text, absl::Duration least, absl::Duration most,
                          absl::Duration* value);

// Where days begin: "+08:00", "-03:30", "+8", "Z". Whole minutes, at most 14 hours either way.
absl::Status ReadUtcOffset(absl::string_view text, absl::Duration* value);

// At most `bytes_max` bytes without control characters.
absl::Status ReadText(absl::string_view text, size_t bytes_max, std::string* value);

// A path from the root, or nothing.
absl::Status ReadPath(absl::string_view text, std::string* value);

// "host", "host:port", "[::1]:port", separated by commas. The port is 0 where none is given.
absl::Status ReadHosts(absl::string_view text, std::vector<mysql::Endpoint>* value);

// Numbers of users, separated by commas, or nothing.
absl::Status ReadUids(absl::string_view text, std::vector<uid_t>* value);

// Names without blanks, separated by commas, or nothing.
absl::Status ReadNames(absl::string_view text, std::vector<std::string>* value);

// "disabled", "preferred", "required", "verify_ca", "verify_identity", in any case.
absl::Status ReadSslMode(absl::string_view text, mysql::SslMode* value);

}  // namespace holdfast::daemon
