#include "server/inspect/request.h"

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"

#include "server/base/status_macros.h"

namespace holdfast::inspect {
namespace {

absl::StatusOr<event::Kind> ParseKind(absl::string_view text) {
  for (const event::Kind kind : event::kKinds) {
    if (event::KindName(kind) == text) return kind;
  }
  return absl::InvalidArgumentError(
      absl::StrCat("--kind=", text, ": must be rate_limit, usage or message"));
}

absl::Status ParseOffset(absl::string_view name, absl::string_view text, uint64_t* offset) {
  if (absl::SimpleAtoi(text, offset) && *offset > 0) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("--", name, "=", text, ": must be an offset, a number from 1 on"));
}

absl::Status ParseExportFlag(absl::string_view name, absl::string_view value, Request* request) {
  Selection& selection = request->selection;
  if (name == "producer") {
    selection.producer = event::ParseUuid(value);
    if (selection.producer.has_value()) return absl::OkStatus();
    return absl::InvalidArgumentError(absl::StrCat("--producer=", value, ": must be a UUID"));
  }
  if (name == "kind") {
    HOLDFAST_ASSIGN_OR_RETURN(selection.kind, ParseKind(value));
    return absl::OkStatus();
  }
  if (name == "from_offset") return ParseOffset(name, value, &selection.from_offset);
  if (name == "to_offset") return ParseOffset(name, value, &selection.to_offset);
  if (name == "pending_only") {
    selection.pending_only = true;
    request->ask_database = true;
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(
      absl::StrCat("--", name,
                   ": an export knows --producer, --kind, --from_offset, --to_offset and "
                   "--pending_only"));
}

}  // namespace

absl::StatusOr<Request> ParseRequest(absl::string_view what,
                                     const std::vector<std::string>& flags) {
  Request request;
  if (what == "ls") {
    request.what = Request::What::kList;
  } else if (what == "verify") {
    request.what = Request::What::kVerify;
  } else if (what == "export") {
    request.what = Request::What::kExport;
  } else {
    return absl::InvalidArgumentError(
        absl::StrCat("--inspect_journal=", what, ": must be ls, verify or export"));
  }
  for (const std::string& flag : flags) {
    absl::string_view text = flag;
    if (!absl::ConsumePrefix(&text, "--")) {
      return absl::InvalidArgumentError(absl::StrCat("\"", flag, "\": expected a flag"));
    }
    const size_t equals = text.find('=');
    const absl::string_view name = text.substr(0, equals);
    const absl::string_view value =
        equals == absl::string_view::npos ? absl::string_view() : text.substr(equals + 1);
    if (request.what == Request::What::kExport) {
      HOLDFAST_RETURN_IF_ERROR(ParseExportFlag(name, value, &request));
    } else if (request.what == Request::What::kList && name == "database") {
      request.ask_database = true;
    } else {
      return absl::InvalidArgumentError(absl::StrCat(flag, ": ", what, " has no such flag"));
    }
  }
  if (request.selection.from_offset > request.selection.to_offset) {
    return absl::InvalidArgumentError("--from_offset is behind --to_offset: nothing lies between");
  }
  return request;
}

}  // namespace holdfast::inspect
