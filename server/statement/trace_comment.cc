#include "server/statement/trace_comment.h"

#include "absl/strings/str_cat.h"

namespace holdfast::statement {

std::string TraceComment(const event::TraceSet& traces) {
  if (traces.empty()) return {};
  std::string comment = "/*";
  for (size_t i = 0; i < traces.kept().size(); ++i) {
    const std::string number = i == 0 ? "" : absl::StrCat("_", i + 1);
    absl::StrAppend(&comment, i == 0 ? "" : ",", "traceparent", number, "='",
                    event::FormatTraceparent(traces.kept()[i]), "'");
  }
  if (traces.more() > 0) absl::StrAppend(&comment, ",traces_more='", traces.more(), "'");
  return comment + "*/";
}

absl::string_view TablesOf(event::Kind kind) {
  switch (kind) {
    case event::Kind::kRateLimit:
      return "holdfast_rate_limit_hits,rate_limit_records";
    case event::Kind::kUsage:
      return "usage_records,usage_stats";
    case event::Kind::kMessage:
      return "message";
  }
  return "";
}

}  // namespace holdfast::statement
