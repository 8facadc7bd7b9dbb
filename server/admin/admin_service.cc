#include "server/admin/admin_service.h"

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "google/protobuf/util/time_util.h"

#include "server/admin/state_findings.h"
#include "server/admin/status.h"
#include "server/base/log.h"
#include "server/writer/quarantine_list.h"

namespace holdfast::admin {
namespace {

using google::protobuf::util::TimeUtil;

// Questions to the database that wait for one another.
constexpr size_t kWaitingMax = 8;

// A diagnosis takes no longer than this, and leaves its caller this much to hear of it.
constexpr absl::Duration kDiagnosisMax = absl::Seconds(60);
constexpr absl::Duration kToAnswer = absl::Milliseconds(500);

// How long an operator waits for a connection from the pool.
constexpr absl::Duration kSessionWait = absl::Seconds(5);

grpc::Status ToGrpc(const absl::Status& status) {
  return grpc::Status(static_cast<grpc::StatusCode>(status.code()), std::string(status.message()));
}

grpc::ServerUnaryReactor* Answer(grpc::CallbackServerContext* context, const grpc::Status& status) {
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  reactor->Finish(status);
  return reactor;
}

absl::Status ReadQuery(const v1::ListQuarantineRequest& request, writer::QuarantineQuery* query) {
  if (request.page_size() > writer::kQuarantinePageMax) {
    return absl::InvalidArgumentError(
        absl::StrCat("page_size: must be 0 to ", writer::kQuarantinePageMax));
  }
  if (request.page_size() > 0) query->rows_max = request.page_size();
  if (!request.page_token().empty() &&
      (!absl::SimpleAtoi(request.page_token(), &query->below) || query->below == 0)) {
    return absl::InvalidArgumentError("page_token: must be the last answer's next_page_token");
  }
  query->include_content = request.include_content();
  return absl::OkStatus();
}

void Describe(const writer::QuarantinePage& page, v1::ListQuarantineResponse* response) {
  for (const writer::QuarantinedEvent& event : page.events) {
    v1::QuarantinedEvent* described = response->add_events();
    described->set_quarantine_id(event.quarantine_id);
    described->set_kind(event.kind);
    if (!event.producer.is_nil()) described->set_producer_id(event::FormatUuid(event.producer));
    described->set_sequence(event.sequence);
    described->set_errno_code(event.error_number);
    described->set_reason(event.reason);
    described->set_column(event.column);
    *described->mutable_first_at() =
        TimeUtil::MicrosecondsToTimestamp(absl::ToUnixMicros(event.first_at));
    *described->mutable_last_at() =
        TimeUtil::MicrosecondsToTimestamp(absl::ToUnixMicros(event.last_at));
    described->set_attempts(event.attempts);
    described->set_event_json(event.event_json);
  }
  if (page.next != 0) response->set_next_page_token(absl::StrCat(page.next));
}

}  // namespace

AdminService::AdminService(DaemonView& daemon, mysql::SessionSource& sessions, base::Clock& clock)
    : daemon_(daemon),
      sessions_(sessions),
      clock_(clock),
      background_(kWaitingMax),
      diagnoses_(1) {}

grpc::ServerUnaryReactor* AdminService::GetStatus(grpc::CallbackServerContext* context,
                                                  const v1::GetStatusRequest* /*request*/,
                                                  v1::GetStatusResponse* response) {
  *response = StatusOf(daemon_);
  return Answer(context, grpc::Status::OK);
}

grpc::ServerUnaryReactor* AdminService::ListQuarantine(grpc::CallbackServerContext* context,
                                                       const v1::ListQuarantineRequest* request,
                                                       v1::ListQuarantineResponse* response) {
  writer::QuarantineQuery query;
  if (const absl::Status read = ReadQuery(*request, &query); !read.ok()) {
    return Answer(context, ToGrpc(read));
  }
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  const bool runs = background_.TryRun([this, query, reactor, response] {
    const auto page = writer::ListQuarantine(sessions_, clock_.Steady() + kSessionWait, query);
    if (page.ok()) {
      Describe(*page, response);
      reactor->Finish(grpc::Status::OK);
      return;
    }
    // Whatever the database said, to the operator it is: not now. An empty list would be a lie.
    reactor->Finish(
        grpc::Status(grpc::StatusCode::UNAVAILABLE,
                     absl::StrCat("the quarantine cannot be read: ", page.status().message())));
  });
  if (!runs) {
    reactor->Finish(grpc::Status(grpc::StatusCode::RESOURCE_EXHAUSTED,
                                 "too many questions wait for the database; try again"));
  }
  return reactor;
}

grpc::ServerUnaryReactor* AdminService::ListCircuits(grpc::CallbackServerContext* context,
                                                     const v1::ListCircuitsRequest* /*request*/,
                                                     v1::ListCircuitsResponse* response) {
  *response->add_circuits() = CircuitOf(daemon_.Circuit());
  return Answer(context, grpc::Status::OK);
}

grpc::ServerUnaryReactor* AdminService::ResetCircuit(grpc::CallbackServerContext* context,
                                                     const v1::ResetCircuitRequest* request,
                                                     v1::ResetCircuitResponse* /*response*/) {
  const std::string known = daemon_.Circuit().name;
  if (request->name() != known) {
    return Answer(
        context,
        grpc::Status(grpc::StatusCode::NOT_FOUND,
                     absl::StrCat("there is no such circuit breaker; there is \"", known, "\"")));
  }
  base::LogInfo("an operator closes the circuit breaker", {{"name", known}});
  daemon_.ResetCircuit();
  return Answer(context, grpc::Status::OK);
}

grpc::ServerUnaryReactor* AdminService::Drain(grpc::CallbackServerContext* context,
                                              const v1::DrainRequest* /*request*/,
                                              v1::DrainResponse* response) {
  base::LogInfo("an operator asks for an orderly end");
  *response->mutable_drain_timeout() =
      TimeUtil::MicrosecondsToDuration(absl::ToInt64Microseconds(daemon_.Facts().drain_timeout));
  daemon_.Drain();
  return Answer(context, grpc::Status::OK);
}

grpc::ServerUnaryReactor* AdminService::Diagnose(grpc::CallbackServerContext* context,
                                                 const v1::DiagnoseRequest* request,
                                                 v1::DiagnoseResponse* response) {
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  const absl::Duration left = absl::FromChrono(context->deadline()) - clock_.Now() - kToAnswer;
  const absl::Time deadline = clock_.Steady() + std::min(left, kDiagnosisMax);
  const bool probe_only = request->probe_only();
  const bool runs = diagnoses_.TryRun([this, probe_only, deadline, reactor, response] {
    *response = daemon_.Diagnose(probe_only, deadline);
    if (!probe_only) AddState(daemon_, response);
    reactor->Finish(grpc::Status::OK);
  });
  if (!runs) {
    reactor->Finish(grpc::Status(grpc::StatusCode::RESOURCE_EXHAUSTED,
                                 "another diagnosis is under way; try again"));
  }
  return reactor;
}

}  // namespace holdfast::admin
