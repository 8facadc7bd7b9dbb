// The calls of AdminService about the quarantine: all of them wait for the database.

#include <algorithm>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

#include "server/admin/admin_service.h"
#include "server/admin/quarantine_page.h"
#include "server/base/log.h"
#include "server/writer/replay.h"

namespace holdfast::admin {
namespace {

using writer::Settled;

// What one request may name, and how long it may take: others wait behind it.
constexpr int kSettledAtOnceMax = 100;
constexpr absl::Duration kSettleTimeMax = absl::Seconds(30);
constexpr size_t kRequestedByBytesMax = 64;

grpc::Status InvalidArgument(const std::string& text) {
  return grpc::Status(grpc::StatusCode::INVALID_ARGUMENT, text);
}

void Describe(uint64_t quarantine_id, const Settled& settled, v1::QuarantineResult* result) {
  result->set_quarantine_id(quarantine_id);
  result->set_changed(true);
  switch (settled.kind) {
    case Settled::Kind::kCommitted:
      return result->set_outcome(v1::QUARANTINE_OUTCOME_COMMITTED);
    case Settled::Kind::kDuplicate:
      return result->set_outcome(v1::QUARANTINE_OUTCOME_DUPLICATE);
    case Settled::Kind::kDiscarded:
      return result->set_outcome(v1::QUARANTINE_OUTCOME_DISCARDED);
    case Settled::Kind::kRefusedAgain:
      result->set_errno_code(settled.rejection.error_number);
      result->set_reason(settled.rejection.reason);
      return result->set_outcome(v1::QUARANTINE_OUTCOME_WAITING);
    case Settled::Kind::kSettledBefore:
      result->set_changed(false);
      return result->set_outcome(OutcomeOf(settled.outcome));
    case Settled::Kind::kNotFound:
      return result->set_changed(false);
  }
}

// What is wrong with a request to settle events; empty if nothing is.
template <typename Request>
std::string FaultOf(const Request& request) {
  if (request.quarantine_ids().empty() || request.quarantine_ids_size() > kSettledAtOnceMax) {
    return absl::StrCat("quarantine_ids: must be 1 to ", kSettledAtOnceMax);
  }
  if (request.requested_by().empty() || request.requested_by().size() > kRequestedByBytesMax) {
    return absl::StrCat("requested_by: who asks must be said, in 1 to ", kRequestedByBytesMax,
                        " bytes");
  }
  return "";
}

absl::Duration TimeLeft(const grpc::CallbackServerContext& context, absl::Time now) {
  const absl::Duration left = absl::FromChrono(context.deadline()) - now;
  return std::clamp(left, absl::ZeroDuration(), kSettleTimeMax);
}

}  // namespace

grpc::ServerUnaryReactor* AdminService::RunInBackground(
    grpc::CallbackServerContext* context,
    absl::AnyInvocable<void(grpc::ServerUnaryReactor*)> task) {
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  const bool runs =
      background_.TryRun([reactor, task = std::move(task)]() mutable { task(reactor); });
  if (!runs) {
    reactor->Finish(grpc::Status(grpc::StatusCode::RESOURCE_EXHAUSTED,
                                 "too many questions wait for the database; try again"));
  }
  return reactor;
}

grpc::ServerUnaryReactor* AdminService::ListQuarantine(grpc::CallbackServerContext* context,
                                                       const v1::ListQuarantineRequest* request,
                                                       v1::ListQuarantineResponse* response) {
  const auto query = ReadQuery(*request);
  if (!query.ok()) {
    grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
    reactor->Finish(InvalidArgument(std::string(query.status().message())));
    return reactor;
  }
  return RunInBackground(
      context, [this, query = *query, response](grpc::ServerUnaryReactor* reactor) {
        auto page = ReadQuarantine(sessions_, clock_.Steady() + kSessionWait, query);
        if (page.ok()) *response = *std::move(page);
        reactor->Finish(grpc::Status(static_cast<grpc::StatusCode>(page.status().code()),
                                     std::string(page.status().message())));
      });
}

template <typename Request, typename Response, typename Settle>
grpc::ServerUnaryReactor* AdminService::SettleEach(grpc::CallbackServerContext* context,
                                                   const Request* request, Response* response,
                                                   absl::string_view verb, Settle settle) {
  if (const std::string fault = FaultOf(*request); !fault.empty()) {
    grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
    reactor->Finish(InvalidArgument(fault));
    return reactor;
  }
  base::LogInfo("an operator asks to settle quarantined events",
                {{"how", verb},
                 {"operator", request->requested_by()},
                 {"events", request->quarantine_ids_size()},
                 {"first_quarantine_id", request->quarantine_ids(0)}});
  return RunInBackground(context, [=, this](grpc::ServerUnaryReactor* reactor) {
    writer::SettleRequest one;
    one.by = absl::StrCat(request->requested_by(), " via ", writer_.writer_id);
    one.deadline = clock_.Steady() + TimeLeft(*context, clock_.Now());
    int changed = 0;
    absl::Status failure;
    for (const uint64_t quarantine_id : request->quarantine_ids()) {
      if (context->IsCancelled()) failure = absl::CancelledError("the caller has gone");
      if (clock_.Steady() >= one.deadline) failure = absl::DeadlineExceededError("the time is up");
      if (!failure.ok()) break;
      one.quarantine_id = quarantine_id;
      const absl::StatusOr<Settled> settled = settle(one);
      failure = settled.status();
      if (!failure.ok()) break;
      v1::QuarantineResult* result = response->add_results();
      Describe(quarantine_id, *settled, result);
      changed += result->changed() && result->outcome() != v1::QUARANTINE_OUTCOME_WAITING;
    }
    base::LogInfo("quarantined events were settled", {{"how", verb},
                                                      {"tried", response->results_size()},
                                                      {"settled", changed},
                                                      {"stopped", failure}});
    if (!failure.ok() && response->results().empty()) {
      reactor->Finish(grpc::Status(
          grpc::StatusCode::UNAVAILABLE,
          absl::StrCat("nothing could be done with the quarantine: ", failure.message())));
      return;
    }
    if (!failure.ok()) response->set_stopped(std::string(failure.message()));
    reactor->Finish(grpc::Status::OK);
  });
}

grpc::ServerUnaryReactor* AdminService::ReplayQuarantine(grpc::CallbackServerContext* context,
                                                         const v1::ReplayQuarantineRequest* request,
                                                         v1::ReplayQuarantineResponse* response) {
  return SettleEach(context, request, response, "replay", [this](const auto& one) {
    return writer::ReplayQuarantined(writer_, sessions_, clock_, one);
  });
}

grpc::ServerUnaryReactor* AdminService::DiscardQuarantine(
    grpc::CallbackServerContext* context, const v1::DiscardQuarantineRequest* request,
    v1::DiscardQuarantineResponse* response) {
  const std::string reason = request->reason();
  return SettleEach(context, request, response, "discard", [this, reason](auto one) {
    one.reason = reason;
    return writer::DiscardQuarantined(sessions_, clock_, one);
  });
}

}  // namespace holdfast::admin
