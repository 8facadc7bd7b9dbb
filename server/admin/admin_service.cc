#include "server/admin/admin_service.h"

#include <algorithm>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "google/protobuf/util/time_util.h"

#include "server/admin/audit.h"
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

// Audits beside the one under way.
constexpr size_t kAuditsWaitingMax = 1;

// An audit ends so long before the caller gives up on it, and after so long in any case.
constexpr absl::Duration kAuditMargin = absl::Seconds(1);
constexpr absl::Duration kAuditMax = absl::Hours(1);

grpc::Status ToGrpc(const absl::Status& status) {
  return grpc::Status(static_cast<grpc::StatusCode>(status.code()), std::string(status.message()));
}

grpc::ServerUnaryReactor* Answer(grpc::CallbackServerContext* context, const grpc::Status& status) {
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  reactor->Finish(status);
  return reactor;
}

}  // namespace

AdminService::AdminService(DaemonView& daemon, mysql::SessionSource& sessions, base::Clock& clock,
                           const writer::WriterOptions& writer)
    : daemon_(daemon),
      sessions_(sessions),
      clock_(clock),
      writer_(writer),
      tail_(daemon, clock),
      background_(kWaitingMax),
      diagnoses_(1),
      audits_(kAuditsWaitingMax) {}

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

grpc::ServerUnaryReactor* AdminService::Audit(grpc::CallbackServerContext* context,
                                              const v1::AuditRequest* request,
                                              v1::AuditResponse* response) {
  inspect::AuditOptions options;
  if (const absl::Status read = ReadAudit(*request, &options); !read.ok()) {
    return Answer(context, ToGrpc(read));
  }
  const DaemonFacts facts = daemon_.Facts();
  options.writer_id = facts.writer_id;
  options.stats_utc_offset = facts.stats_utc_offset;
  // gRPC's deadline is a time of the system's clock.
  const absl::Duration left = absl::FromChrono(context->deadline()) - clock_.Now() - kAuditMargin;
  options.deadline = clock_.Steady() + std::min(left, kAuditMax);
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  const bool runs =
      audits_.TryRun([this, options, journal_id = facts.journal_id, context, reactor, response] {
        const absl::Time started_at = clock_.Steady();
        const auto report = inspect::Audit(
            options, [this, &journal_id] { return BooksOf(daemon_.Pipeline(), journal_id); },
            [context] { return context->IsCancelled(); }, sessions_, clock_);
        if (!report.ok()) {
          reactor->Finish(grpc::Status(
              grpc::StatusCode::UNAVAILABLE,
              absl::StrCat("the database cannot be audited: ", report.status().message())));
          return;
        }
        Describe(*report, response);
        *response->mutable_took() = TimeUtil::MicrosecondsToDuration(
            absl::ToInt64Microseconds(clock_.Steady() - started_at));
        reactor->Finish(grpc::Status::OK);
      });
  if (!runs) {
    reactor->Finish(grpc::Status(grpc::StatusCode::RESOURCE_EXHAUSTED,
                                 "an audit is under way and another one waits; try again"));
  }
  return reactor;
}

grpc::ServerUnaryReactor* AdminService::GetLogLevel(grpc::CallbackServerContext* context,
                                                    const v1::GetLogLevelRequest* /*request*/,
                                                    v1::GetLogLevelResponse* response) {
  response->set_level(std::string(base::LogLevelName(base::GetLogLevel())));
  return Answer(context, grpc::Status::OK);
}

grpc::ServerUnaryReactor* AdminService::SetLogLevel(grpc::CallbackServerContext* context,
                                                    const v1::SetLogLevelRequest* request,
                                                    v1::SetLogLevelResponse* response) {
  base::LogLevel level = base::LogLevel::kInfo;
  if (const absl::Status parsed = base::ParseLogLevel(request->level(), &level); !parsed.ok()) {
    return Answer(context, grpc::Status(grpc::StatusCode::INVALID_ARGUMENT,
                                        absl::StrCat("level: ", parsed.message())));
  }
  const base::LogLevel before = base::GetLogLevel();
  // Said before a higher level could hide it, and after a lower one was set.
  const bool is_quieter = level > before;
  if (!is_quieter) base::SetLogLevel(level);
  base::LogWarning("an operator changes the log level",
                   {{"from", base::LogLevelName(before)}, {"to", base::LogLevelName(level)}});
  if (is_quieter) base::SetLogLevel(level);
  response->set_previous(std::string(base::LogLevelName(before)));
  return Answer(context, grpc::Status::OK);
}

grpc::ServerWriteReactor<v1::TailResponse>* AdminService::Tail(
    grpc::CallbackServerContext* /*context*/, const v1::TailRequest* request) {
  return tail_.Open(*request);
}

}  // namespace holdfast::admin
