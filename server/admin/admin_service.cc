#include "server/admin/admin_service.h"

#include <algorithm>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "google/protobuf/util/time_util.h"

#include "server/admin/quarantine_page.h"
#include "server/admin/state_findings.h"
#include "server/admin/status.h"
#include "server/base/log.h"

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

grpc::ServerUnaryReactor* AdminService::GetHistory(grpc::CallbackServerContext* context,
                                                   const v1::GetHistoryRequest* /*request*/,
                                                   v1::GetHistoryResponse* response) {
  *response = HistoryOf(daemon_.History());
  return Answer(context, grpc::Status::OK);
}

grpc::ServerUnaryReactor* AdminService::ListQuarantine(grpc::CallbackServerContext* context,
                                                       const v1::ListQuarantineRequest* request,
                                                       v1::ListQuarantineResponse* response) {
  const auto query = ReadQuery(*request);
  if (!query.ok()) return Answer(context, ToGrpc(query.status()));
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  const bool runs = background_.TryRun([this, query = *query, reactor, response] {
    auto page = ReadQuarantine(sessions_, clock_.Steady() + kSessionWait, query);
    if (page.ok()) *response = *std::move(page);
    reactor->Finish(ToGrpc(page.status()));
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
  *response = CircuitsOf(daemon_);
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
