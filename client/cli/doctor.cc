#include "client/cli/doctor.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "google/protobuf/util/json_util.h"

#include "client/cli/program.h"
#include "client/stream.h"
#include "holdfast/v1/admin.grpc.pb.h"
#include "holdfast/v1/ingest.grpc.pb.h"

namespace holdfast::client {
namespace {

constexpr char kDaemonProgram[] = "holdfastd";

// The longest that single questions may take.
constexpr absl::Duration kStatusMax = absl::Seconds(5);
constexpr absl::Duration kJournaledMax = absl::Seconds(5);
constexpr absl::Duration kCommittedMax = absl::Seconds(10);

v1::Finding* Add(v1::FindingLevel level, absl::string_view check, absl::string_view found,
                 v1::DiagnoseResponse* response) {
  v1::Finding* finding = response->add_findings();
  finding->set_check(std::string(check));
  finding->set_level(level);
  finding->set_found(std::string(found));
  return finding;
}

class Doctor {
 public:
  explicit Doctor(const DoctorOptions& options)
      : options_(options),
        deadline_(absl::Now() + options.timeout),
        channel_(OpenChannel(options.connection.address, options.connection.tls)) {
    if (!channel_.ok()) return;
    admin_ = v1::AdminService::NewStub(*channel_);
    ingest_ = v1::IngestService::NewStub(*channel_);
  }

  v1::DiagnoseResponse Run();

 private:
  absl::Duration Left() const { return std::max(deadline_ - absl::Now(), absl::ZeroDuration()); }
  void SetDeadline(absl::Duration most, grpc::ClientContext* context) const {
    context->set_deadline(absl::ToChronoTime(absl::Now() + std::min(most, Left())));
  }

  bool IsThere(v1::DiagnoseResponse* response);
  absl::Status AskDaemon(bool probe_only, absl::Duration most, v1::DiagnoseResponse* found);
  void AskProgram(v1::DiagnoseResponse* response);
  absl::Status Write(const v1::Event& probe, v1::AckLevel level, absl::Duration most,
                     absl::Duration* took);
  void SendProbe(const v1::Event& probe, v1::DiagnoseResponse* response);

  const DoctorOptions& options_;
  const absl::Time deadline_;
  const absl::StatusOr<std::shared_ptr<grpc::Channel>> channel_;
  // Null without a channel; then the daemon is not there, and not asked.
  std::unique_ptr<v1::AdminService::Stub> admin_;
  std::unique_ptr<v1::IngestService::Stub> ingest_;
};

bool Doctor::IsThere(v1::DiagnoseResponse* response) {
  grpc::ClientContext context;
  SetDeadline(kStatusMax, &context);
  v1::GetStatusResponse status;
  const absl::Status answered =
      channel_.ok() ? FromGrpc(admin_->GetStatus(&context, v1::GetStatusRequest(), &status))
                    : channel_.status();
  if (answered.ok()) {
    Add(v1::FINDING_LEVEL_OK, "daemon",
        absl::StrCat("answers at ", options_.connection.address, ", version ", status.version(),
                     ", ", status.streams(), " streams of gateways",
                     options_.daemon_flags.empty()
                         ? ""
                         : "; it has settings of its own, and the flags after -- were not used"),
        response);
    return true;
  }
  *response->add_findings() = JudgeUnreachable(options_.connection, answered);
  return false;
}

absl::Status Doctor::AskDaemon(bool probe_only, absl::Duration most, v1::DiagnoseResponse* found) {
  grpc::ClientContext context;
  SetDeadline(most, &context);
  v1::DiagnoseRequest request;
  request.set_probe_only(probe_only);
  return FromGrpc(admin_->Diagnose(&context, request, found));
}

// The checks without the daemon. What `holdfastd --diagnose` does not print is a finding itself.
void Doctor::AskProgram(v1::DiagnoseResponse* response) {
  const std::string path = FindProgram(kDaemonProgram);
  if (path.empty()) {
    Add(v1::FINDING_LEVEL_SKIPPED, "all else",
        "needs holdfastd, in this program's folder or in PATH", response);
    return;
  }
  std::vector<std::string> arguments = options_.daemon_flags;
  arguments.insert(arguments.begin(), "--diagnose");
  const absl::StatusOr<Ended> ended = RunProgram(path, arguments, Left());
  v1::DiagnoseResponse found;
  if (ended.ok() && ended->exit_code == 0 &&
      google::protobuf::util::JsonStringToMessage(ended->output, &found).ok()) {
    response->mutable_findings()->MergeFrom(found.findings());
    return;
  }
  const std::string said = ended.ok() ? absl::StrCat(path, " --diagnose ended with ",
                                                     ended->exit_code, ": ", ended->errors)
                                      : std::string(ended.status().message());
  v1::Finding* finding = Add(v1::FINDING_LEVEL_PROBLEM, "all else", said, response);
  finding->set_meaning("what the daemon depends on could not be looked at");
  finding->set_remedy("run it by hand; --timeout gives it more time");
}

absl::Status Doctor::Write(const v1::Event& probe, v1::AckLevel level, absl::Duration most,
                           absl::Duration* took) {
  grpc::ClientContext context;
  SetDeadline(most, &context);
  v1::WriteRequest request;
  *request.mutable_batch()->add_events() = probe;
  request.set_wait_for(level);
  v1::WriteResponse response;
  const absl::Time begin = absl::Now();
  const absl::Status status = FromGrpc(ingest_->Write(&context, request, &response));
  *took = absl::Now() - begin;
  if (absl::IsDeadlineExceeded(status)) {
    return absl::DeadlineExceededError(
        absl::StrCat("no acknowledgement within ", absl::FormatDuration(std::min(most, *took))));
  }
  if (!status.ok()) return status;
  if (response.results_size() != 1) return absl::InternalError("an answer without a result");
  const v1::EventResult& result = response.results(0);
  if (result.outcome() == v1::OUTCOME_JOURNALED || result.outcome() == v1::OUTCOME_COMMITTED) {
    return absl::OkStatus();
  }
  return absl::FailedPreconditionError(absl::StrCat(
      result.outcome() == v1::OUTCOME_QUARANTINED ? "in the quarantine: " : "refused: ",
      result.field(), result.field().empty() ? "" : " ", result.reason()));
}

void Doctor::SendProbe(const v1::Event& probe, v1::DiagnoseResponse* response) {
  ProbeSent sent;
  sent.journaled = Write(probe, v1::ACK_LEVEL_JOURNALED, kJournaledMax, &sent.journaled_after);
  sent.committed = Write(probe, v1::ACK_LEVEL_COMMITTED, kCommittedMax, &sent.committed_after);
  for (v1::Finding& finding : JudgeProbeSent(sent)) response->add_findings()->Swap(&finding);
  if (!sent.committed.ok()) {
    Add(v1::FINDING_LEVEL_SKIPPED, "read back", "needs \"write committed\"", response);
    return;
  }
  v1::DiagnoseResponse found;
  const absl::Status asked = AskDaemon(true, Left(), &found);
  if (!asked.ok()) {
    Add(v1::FINDING_LEVEL_SKIPPED, "read back", std::string(asked.message()), response);
  }
  response->mutable_findings()->MergeFrom(found.findings());
}

v1::DiagnoseResponse Doctor::Run() {
  v1::DiagnoseResponse response;
  v1::DiagnoseResponse found;
  bool is_there = IsThere(&response);
  if (is_there) {
    // Room is left for the probe.
    const absl::Status asked = AskDaemon(false, Left() * 2 / 3, &found);
    if (!asked.ok()) {
      v1::Finding* finding =
          Add(v1::FINDING_LEVEL_PROBLEM, "daemon",
              absl::StrCat("it makes no diagnosis: ", std::string(asked.message())), &response);
      finding->set_meaning("what follows comes from holdfastd --diagnose, in this environment");
      finding->set_remedy("try again; see the daemon's log and version");
      is_there = false;
    }
  }
  if (!is_there) {
    AskProgram(&response);
    Add(v1::FINDING_LEVEL_SKIPPED, "write", "needs a daemon that answers", &response);
    return response;
  }
  // The probe's place is behind the last finding about the tables.
  int last_trial = -1;
  for (int i = 0; i < found.findings_size(); ++i) {
    if (found.findings(i).check() == "trial writes") last_trial = i;
  }
  for (int i = 0; i < found.findings_size(); ++i) {
    *response.add_findings() = found.findings(i);
    if (i == last_trial && options_.write) SendProbe(found.probe(), &response);
  }
  return response;
}

}  // namespace

v1::DiagnoseResponse RunDiagnosis(const DoctorOptions& options) { return Doctor(options).Run(); }

}  // namespace holdfast::client
