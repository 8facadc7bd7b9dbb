#include "server/admin/pages.h"

#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

#include "server/admin/json.h"
#include "server/admin/page/page.h"
#include "server/admin/quarantine_page.h"
#include "server/admin/status.h"

namespace holdfast::admin {
namespace {

constexpr char kHelp[] =
    "Holdfast\n\n"
    "/                   the status page (in a browser)\n"
    "/livez              whether the daemon answers gateways\n"
    "/readyz             whether it takes events, and what is missing\n"
    "/health             the same as JSON\n"
    "/metrics            for Prometheus\n"
    "/api/v1/status      everything, as JSON\n"
    "/api/v1/history     the last quarter of an hour\n"
    "/api/v1/circuits    the circuit breaker towards the database\n"
    "/api/v1/quarantine  events that the database refused, without their content;\n"
    "                    ?page_size=1 to 1000, ?page_token=the last answer's next_page_token\n"
    "/help               this\n";

Page TextPage(int code, std::string text) {
  return {code, "text/plain; charset=utf-8", std::move(text)};
}

// An answer that could not be made is no empty answer.
Page JsonPage(int code, absl::StatusOr<std::string> json) {
  if (!json.ok()) return TextPage(500, absl::StrCat(json.status().message(), "\n"));
  return {code, "application/json", *std::move(json)};
}

Page JsonPage(const google::protobuf::Message& message) { return JsonPage(200, ToJson(message)); }

Page ErrorPage(const absl::Status& error) {
  const bool is_theirs = error.code() == absl::StatusCode::kInvalidArgument;
  return JsonPage(is_theirs ? 400 : 503, ErrorJson(error));
}

absl::StatusOr<v1::ListQuarantineRequest> ParseQuery(absl::string_view query) {
  v1::ListQuarantineRequest request;
  for (absl::string_view parameter : absl::StrSplit(query, '&', absl::SkipEmpty())) {
    const std::pair<std::string, std::string> parts =
        absl::StrSplit(parameter, absl::MaxSplits('=', 1));
    uint32_t size = 0;
    if (parts.first == "page_token") {
      request.set_page_token(parts.second);
    } else if (parts.first != "page_size") {
      return absl::InvalidArgumentError(
          absl::StrCat(parts.first, ": there are only page_size and page_token"));
    } else if (!absl::SimpleAtoi(parts.second, &size)) {
      return absl::InvalidArgumentError("page_size: must be a number");
    } else {
      request.set_page_size(size);
    }
  }
  return request;
}

}  // namespace

Page Pages::Get(const PageRequest& request) {
  const std::string& path = request.path;
  if (path == "/" && absl::StrContains(request.accept, "text/html")) {
    return {200, "text/html; charset=utf-8", std::string(StatusPage()), StatusPagePolicy()};
  }
  if (path == "/" || path == "/help") return TextPage(200, kHelp);
  if (path == "/livez") return Live();
  if (path == "/readyz") return Ready();
  if (path == "/health") return Health();
  if (path == "/metrics") {
    return {200, "text/plain; version=0.0.4; charset=utf-8", metrics_.Scrape()};
  }
  if (path == "/api/v1/status") return JsonPage(StatusOf(daemon_));
  if (path == "/api/v1/history") return JsonPage(HistoryOf(daemon_.History()));
  if (path == "/api/v1/circuits") return JsonPage(CircuitsOf(daemon_));
  if (path == "/api/v1/quarantine") return Quarantine(request.query);
  return TextPage(404, absl::StrCat("Not here.\n\n", kHelp));
}

Page Pages::Live() {
  const absl::Status answer = liveness_.Check();
  return answer.ok() ? TextPage(200, "alive\n")
                     : TextPage(503, absl::StrCat(answer.message(), "\n"));
}

Page Pages::Ready() const {
  const Readiness readiness = Assess(daemon_);
  std::string text = readiness.ready() ? "ready\n" : "not ready: events are refused\n";
  for (const std::string& reason : readiness.refusing) absl::StrAppend(&text, "- ", reason, "\n");
  if (!readiness.degraded.empty()) absl::StrAppend(&text, "degraded:\n");
  for (const std::string& reason : readiness.degraded) absl::StrAppend(&text, "- ", reason, "\n");
  return TextPage(readiness.ready() ? 200 : 503, std::move(text));
}

Page Pages::Health() const {
  const Readiness readiness = Assess(daemon_);
  return JsonPage(readiness.ready() ? 200 : 503, HealthJson(readiness, daemon_.Facts().version));
}

Page Pages::Quarantine(absl::string_view query) {
  const auto request = ParseQuery(query);
  if (!request.ok()) return ErrorPage(request.status());
  const auto answer = AskQuarantine(*request);
  return answer.ok() ? JsonPage(*answer) : ErrorPage(answer.status());
}

absl::StatusOr<v1::ListQuarantineResponse> Pages::AskQuarantine(
    const v1::ListQuarantineRequest& request) {
  const auto query = ReadQuery(request);
  if (!query.ok()) return query.status();
  {
    absl::MutexLock lock(&mu_);
    if (questions_ == kQuestionsMax) {
      return absl::UnavailableError("others wait for the database already; ask again in a moment");
    }
    ++questions_;
  }
  auto answer = ReadQuarantine(sessions_, clock_.Steady() + kSessionWait, *query);
  absl::MutexLock lock(&mu_);
  --questions_;
  return answer;
}

}  // namespace holdfast::admin
