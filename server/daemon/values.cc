#include "server/daemon/values.h"

#include <algorithm>
#include <array>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"

#include "server/base/status_macros.h"

namespace holdfast::daemon {
namespace {

absl::Status Expected(absl::string_view what) {
  return absl::InvalidArgumentError(absl::StrCat("expected ", what));
}

std::string BytesText(uint64_t bytes) {
  for (const auto& [unit, shift] : {std::pair{"GiB", 30}, {"MiB", 20}, {"KiB", 10}}) {
    if (bytes >= (uint64_t{1} << shift) && bytes % (uint64_t{1} << shift) == 0) {
      return absl::StrCat(bytes >> shift, unit);
    }
  }
  return absl::StrCat(bytes);
}

bool IsPlain(absl::string_view text) {
  return std::none_of(text.begin(), text.end(),
                      [](unsigned char c) { return absl::ascii_iscntrl(c); });
}

}  // namespace

absl::Status ReadBool(absl::string_view text, bool* value) {
  const std::string word = absl::AsciiStrToLower(text);
  for (const absl::string_view yes : {"true", "1", "yes", "on"}) {
    if (word == yes) return *value = true, absl::OkStatus();
  }
  for (const absl::string_view no : {"false", "0", "no", "off"}) {
    if (word == no) return *value = false, absl::OkStatus();
  }
  return Expected("true or false");
}

absl::Status ReadInteger(absl::string_view text, int least, int most, int* value) {
  int number = 0;
  if (!absl::SimpleAtoi(text, &number) || number < least || number > most) {
    return Expected(absl::StrCat("a whole number from ", least, " to ", most));
  }
  *value = number;
  return absl::OkStatus();
}

absl::Status ReadBytes(absl::string_view text, uint64_t least, uint64_t most, uint64_t* value) {
  const absl::Status wrong = Expected(absl::StrCat("a size from ", BytesText(least), " to ",
                                                   BytesText(most), ", as in 64MiB or 2GiB"));
  absl::string_view digits = text;
  int shift = 0;
  for (const auto& [unit, bits] : {std::pair{"GiB", 30}, {"MiB", 20}, {"KiB", 10}}) {
    if (absl::ConsumeSuffix(&digits, unit)) {
      shift = bits;
      break;
    }
  }
  uint64_t number = 0;
  if (!absl::SimpleAtoi(absl::StripTrailingAsciiWhitespace(digits), &number)) return wrong;
  if (number > (most >> shift) || (number << shift) < least) return wrong;
  *value = number << shift;
  return absl::OkStatus();
}

absl::Status ReadDuration(absl::string_view text, absl::Duration least, absl::Duration most,
                          absl::Duration* value) {
  absl::Duration duration;
  double seconds = 0;
  const bool bare = !text.empty() && absl::ascii_isdigit(static_cast<unsigned char>(text.back())) &&
                    absl::SimpleAtod(text, &seconds);
  if (bare) duration = absl::Seconds(seconds);
  if ((!bare && !absl::ParseDuration(text, &duration)) || duration < least || duration > most) {
    return Expected(absl::StrCat("a duration from ", absl::FormatDuration(least), " to ",
                                 absl::FormatDuration(most),
                                 ", as in 500ms, 30s or 1h (a number alone is seconds)"));
  }
  *value = duration;
  return absl::OkStatus();
}

absl::Status ReadUtcOffset(absl::string_view text, absl::Duration* value) {
  const absl::Status wrong = Expected("an offset from UTC as in +08:00, -03:30 or Z");
  if (text == "Z" || text == "z") return *value = absl::ZeroDuration(), absl::OkStatus();
  const bool west = absl::ConsumePrefix(&text, "-");
  if (!west) absl::ConsumePrefix(&text, "+");
  const std::pair<absl::string_view, absl::string_view> parts =
      absl::StrSplit(text, absl::MaxSplits(':', 1));
  const auto is_number = [](absl::string_view digits, int* number) {
    return !digits.empty() && digits.size() <= 2 &&
           absl::ascii_isdigit(static_cast<unsigned char>(digits.front())) &&
           absl::SimpleAtoi(digits, number);
  };
  int hours = 0;
  int minutes = 0;
  const bool has_minutes = text.find(':') != absl::string_view::npos;
  if (!is_number(parts.first, &hours) || hours > 14 ||
      (has_minutes && (!is_number(parts.second, &minutes) || parts.second.size() != 2)) ||
      minutes > 59 || hours * 60 + minutes > 14 * 60) {
    return wrong;
  }
  const absl::Duration offset = absl::Hours(hours) + absl::Minutes(minutes);
  *value = west ? -offset : offset;
  return absl::OkStatus();
}

absl::Status ReadText(absl::string_view text, size_t bytes_max, std::string* value) {
  if (text.size() > bytes_max || !IsPlain(text)) {
    return Expected(absl::StrCat("at most ", bytes_max, " bytes without control characters"));
  }
  *value = std::string(text);
  return absl::OkStatus();
}

absl::Status ReadPath(absl::string_view text, std::string* value) {
  if (!text.empty() && (text.front() != '/' || text.size() > 4095 || !IsPlain(text))) {
    return Expected("an absolute path, as in /var/lib/holdfast");
  }
  *value = std::string(text);
  return absl::OkStatus();
}

absl::Status ReadHosts(absl::string_view text, std::vector<mysql::Endpoint>* value) {
  std::vector<mysql::Endpoint> hosts;
  for (absl::string_view part : absl::StrSplit(text, ',')) {
    part = absl::StripAsciiWhitespace(part);
    mysql::Endpoint endpoint;
    endpoint.port = 0;
    const size_t bracket = part.find(']');
    const bool is_six = !part.empty() && part.front() == '[' && bracket != absl::string_view::npos;
    const size_t colon = part.find(':', is_six ? bracket : 0);
    absl::string_view host = part.substr(0, colon);
    if (is_six) host = part.substr(1, bracket - 1);
    const bool has_port = colon != absl::string_view::npos;
    if (host.empty() || host.size() > 255 || !IsPlain(host) ||
        (is_six && part.substr(bracket + 1, colon - bracket - 1) != "") ||
        (has_port && !ReadInteger(part.substr(colon + 1), 1, 65535, &endpoint.port).ok())) {
      return Expected("hosts as in db-0, db-0:3306 or [::1]:3306, separated by commas");
    }
    endpoint.host = std::string(host);
    hosts.push_back(std::move(endpoint));
  }
  *value = std::move(hosts);
  return absl::OkStatus();
}

absl::Status ReadUids(absl::string_view text, std::vector<uid_t>* value) {
  std::vector<uid_t> uids;
  for (const absl::string_view part : absl::StrSplit(text, ',', absl::SkipWhitespace())) {
    uint32_t uid = 0;
    if (!absl::SimpleAtoi(part, &uid)) {
      return Expected("numbers of users, separated by commas, as in 1000,1001");
    }
    uids.push_back(uid);
  }
  *value = std::move(uids);
  return absl::OkStatus();
}

absl::Status ReadNames(absl::string_view text, std::vector<std::string>* value) {
  std::vector<std::string> names;
  for (absl::string_view part : absl::StrSplit(text, ',', absl::SkipWhitespace())) {
    part = absl::StripAsciiWhitespace(part);
    if (part.size() > 255 || !IsPlain(part) || part.find(' ') != absl::string_view::npos) {
      return Expected("names, separated by commas, as in gateway.example,spiffe://example/gateway");
    }
    names.emplace_back(part);
  }
  *value = std::move(names);
  return absl::OkStatus();
}

absl::Status ReadSslMode(absl::string_view text, mysql::SslMode* value) {
  using mysql::SslMode;
  constexpr std::array<std::pair<absl::string_view, SslMode>, 5> kModes = {
      {{"disabled", SslMode::kDisabled},
       {"preferred", SslMode::kPreferred},
       {"required", SslMode::kRequired},
       {"verify_ca", SslMode::kVerifyCa},
       {"verify_identity", SslMode::kVerifyIdentity}}};
  const std::string word = absl::AsciiStrToLower(text);
  for (const auto& [name, mode] : kModes) {
    if (word == name) return *value = mode, absl::OkStatus();
  }
  return Expected("disabled, preferred, required, verify_ca or verify_identity");
}

}  // namespace holdfast::daemon
