#include "server/admin/pages.h"

#include "absl/strings/str_cat.h"
#include "google/protobuf/util/json_util.h"

#include "server/admin/status.h"

namespace holdfast::admin {
namespace {

constexpr char kIndex[] =
    "Holdfast\n\n"
    "/livez          whether the daemon answers gateways\n"
    "/readyz         whether it takes events, and what is missing\n"
    "/metrics        for Prometheus\n"
    "/api/v1/status  everything, as JSON\n";

}  // namespace

Page Pages::Get(absl::string_view path) {
  if (path == "/") return {200, "text/plain; charset=utf-8", kIndex};
  if (path == "/livez") return Live();
  if (path == "/readyz") return Ready();
  if (path == "/metrics") {
    return {200, "text/plain; version=0.0.4; charset=utf-8", metrics_.Scrape()};
  }
  if (path == "/api/v1/status") return Status();
  return {404, "text/plain; charset=utf-8", absl::StrCat("Not here.\n\n", kIndex)};
}

Page Pages::Live() {
  const absl::Status answer = liveness_.Check();
  if (answer.ok()) return {200, "text/plain; charset=utf-8", "alive\n"};
  return {503, "text/plain; charset=utf-8", absl::StrCat(answer.message(), "\n")};
}

Page Pages::Ready() const {
  const Readiness readiness = Assess(daemon_);
  std::string text = readiness.ready() ? "ready\n" : "not ready: events are refused\n";
  for (const std::string& reason : readiness.refusing) absl::StrAppend(&text, "- ", reason, "\n");
  if (!readiness.degraded.empty()) absl::StrAppend(&text, "degraded:\n");
  for (const std::string& reason : readiness.degraded) absl::StrAppend(&text, "- ", reason, "\n");
  return {readiness.ready() ? 200 : 503, "text/plain; charset=utf-8", text};
}

Page Pages::Status() const {
  google::protobuf::util::JsonPrintOptions options;
  options.add_whitespace = true;
  options.always_print_primitive_fields = true;
  options.preserve_proto_field_names = true;
  std::string json;
  const auto printed =
      google::protobuf::util::MessageToJsonString(StatusOf(daemon_), &json, options);
  if (!printed.ok()) {
    // An answer that could not be made is no empty answer.
    return {500, "text/plain; charset=utf-8", absl::StrCat(printed.ToString(), "\n")};
  }
  return {200, "application/json", json};
}

}  // namespace holdfast::admin
