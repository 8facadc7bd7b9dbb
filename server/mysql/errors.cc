#include "server/mysql/errors.h"

#include <array>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"

#include "server/mysql/error_table.h"

namespace holdfast::mysql {
namespace {

using flow::Verdict;

constexpr absl::string_view kPayloadUrl = "holdfast/database_error";

bool IsClientError(unsigned error_number) { return error_number >= 2000 && error_number <= 2999; }

Verdict ClassifyStatement(unsigned error_number, absl::string_view sql_state) {
  if (const KnownError* known = FindKnownError(error_number)) return known->verdict;
  if (IsClientError(error_number)) return Verdict::kReconnect;
  const absl::string_view state_class = sql_state.substr(0, 2);
  if (state_class == "22" || state_class == "23") return Verdict::kReject;
  if (state_class == "40") return Verdict::kRetry;
  if (state_class == "08") return Verdict::kReconnect;
  return Verdict::kOutage;
}

// Whether the server answered a COMMIT in a way that leaves no doubt: nothing was committed.
bool IsDefiniteAtCommit(unsigned error_number, absl::string_view sql_state) {
  switch (error_number) {
    case 1020:
    case 1205:
    case 1213:
    case 1290:
    case 1614:
    case 1792:
    case 1836:
    case 3101:
      return true;
    default:
      return FindKnownError(error_number) == nullptr && sql_state.substr(0, 2) == "40";
  }
}

absl::StatusCode CodeOf(Verdict verdict) {
  switch (verdict) {
    case Verdict::kRetry:
      return absl::StatusCode::kAborted;
    case Verdict::kUnknown:
      return absl::StatusCode::kUnknown;
    case Verdict::kReconnect:
    case Verdict::kElsewhere:
      return absl::StatusCode::kUnavailable;
    case Verdict::kThrottle:
      return absl::StatusCode::kResourceExhausted;
    case Verdict::kReject:
      return absl::StatusCode::kInvalidArgument;
    case Verdict::kOutage:
      return absl::StatusCode::kFailedPrecondition;
  }
  return absl::StatusCode::kInternal;
}

// `text` up to the first `quote`, without what a dot separates before it: 'message.raw_json'.
std::string UpTo(absl::string_view text, char quote) {
  const size_t end = text.find(quote);
  if (end == absl::string_view::npos) return "";
  absl::string_view name = text.substr(0, end);
  if (const size_t dot = name.rfind('.'); dot != absl::string_view::npos)
    name.remove_prefix(dot + 1);
  return std::string(name);
}

// The name after "for column ": 'x', or `db`.`table`.`x`.
std::string ColumnAfter(absl::string_view text) {
  if (absl::ConsumePrefix(&text, "'")) return UpTo(text, '\'');
  std::string name;
  while (absl::ConsumePrefix(&text, "`")) {
    name = UpTo(text, '`');
    text.remove_prefix(std::min(text.size(), text.find('`') + 1));
    absl::ConsumePrefix(&text, ".");
  }
  return name;
}

}  // namespace

std::string DatabaseError::column() const {
  const absl::string_view text = message;
  // The last one: what comes before it may be a value, which may say anything.
  constexpr absl::string_view kForColumn = "for column ";
  if (const size_t at = text.rfind(kForColumn); at != absl::string_view::npos) {
    return ColumnAfter(text.substr(at + kForColumn.size()));
  }
  static constexpr std::array<std::pair<absl::string_view, char>, 5> kBeginnings = {{
      {"Column '", '\''},
      {"Unknown column '", '\''},
      {"Field '", '\''},
      {"CONSTRAINT `", '`'},  // MariaDB names the CHECK of a column after it.
      {"Check constraint '", '\''},
  }};
  for (const auto& [beginning, quote] : kBeginnings) {
    if (absl::StartsWith(text, beginning)) return UpTo(text.substr(beginning.size()), quote);
  }
  constexpr absl::string_view kForeignKey = "FOREIGN KEY (`";
  if (const size_t at = text.find(kForeignKey); at != absl::string_view::npos) {
    return UpTo(text.substr(at + kForeignKey.size()), '`');
  }
  return "";
}

Verdict Classify(unsigned error_number, absl::string_view sql_state, bool committing) {
  if (committing && !IsDefiniteAtCommit(error_number, sql_state)) return Verdict::kUnknown;
  return ClassifyStatement(error_number, sql_state);
}

absl::Status ToStatus(absl::string_view operation, const DatabaseError& error) {
  std::string text(operation);
  if (error.error_number != 0) {
    absl::StrAppend(&text, ": error ", error.error_number);
    if (!error.sql_state.empty()) absl::StrAppend(&text, " (", error.sql_state, ")");
  }
  if (const KnownError* known = FindKnownError(error.error_number)) {
    absl::StrAppend(&text, ", ", known->meaning);
    if (*known->remedy != '\0') absl::StrAppend(&text, "; ", known->remedy);
  }
  if (error.verdict == Verdict::kUnknown) absl::StrAppend(&text, "; the outcome is not known");
  absl::Status status(CodeOf(error.verdict), text);
  status.SetPayload(kPayloadUrl,
                    absl::Cord(absl::StrCat(error.error_number, "\n", error.sql_state, "\n",
                                            static_cast<int>(error.verdict), "\n", error.message)));
  return status;
}

std::optional<DatabaseError> ErrorOf(const absl::Status& status) {
  const auto payload = status.GetPayload(kPayloadUrl);
  if (!payload.has_value()) return std::nullopt;
  const std::string text(*payload);
  const std::vector<absl::string_view> parts = absl::StrSplit(text, absl::MaxSplits('\n', 3));
  DatabaseError error;
  int verdict = 0;
  if (parts.size() != 4 || !absl::SimpleAtoi(parts[0], &error.error_number) ||
      !absl::SimpleAtoi(parts[2], &verdict)) {
    return std::nullopt;
  }
  error.sql_state = std::string(parts[1]);
  error.verdict = static_cast<Verdict>(verdict);
  error.message = std::string(parts[3]);
  return error;
}

Verdict VerdictOf(const absl::Status& status) {
  const std::optional<DatabaseError> error = ErrorOf(status);
  return error.has_value() ? error->verdict : Verdict::kReconnect;
}

}  // namespace holdfast::mysql
