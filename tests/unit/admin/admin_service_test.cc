#include "server/admin/admin_service.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "holdfast/v1/ingest.pb.h"
#include "server/base/log.h"
#include "tests/support/fake_clock.h"
#include "tests/unit/admin/absent_database.h"
#include "tests/unit/admin/fake_daemon_view.h"

namespace holdfast::admin {
namespace {

using testing::HasSubstr;

class AdminServiceTest : public testing::Test {
 protected:
  AdminServiceTest() {
    grpc::ServerBuilder builder;
    builder.RegisterService(&service_);
    server_ = builder.BuildAndStart();
    stub_ = v1::AdminService::NewStub(server_->InProcessChannel(grpc::ChannelArguments()));
  }
  ~AdminServiceTest() override {
    database_.LetGo();
    server_->Shutdown(std::chrono::system_clock::now() + std::chrono::seconds(10));
  }

  static void SetDeadline(grpc::ClientContext& context) {
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(60));
  }

  grpc::Status ListQuarantine(const v1::ListQuarantineRequest& request) {
    grpc::ClientContext context;
    SetDeadline(context);
    v1::ListQuarantineResponse response;
    return stub_->ListQuarantine(&context, request, &response);
  }
  grpc::Status ResetCircuit(const std::string& name) {
    grpc::ClientContext context;
    SetDeadline(context);
    v1::ResetCircuitRequest request;
    request.set_name(name);
    v1::ResetCircuitResponse response;
    return stub_->ResetCircuit(&context, request, &response);
  }
  v1::DiagnoseResponse Diagnose(bool probe_only) {
    grpc::ClientContext context;
    SetDeadline(context);
    v1::DiagnoseRequest request;
    request.set_probe_only(probe_only);
    v1::DiagnoseResponse response;
    EXPECT_TRUE(stub_->Diagnose(&context, request, &response).ok());
    return response;
  }
  grpc::Status GetStatus(v1::GetStatusResponse* response) {
    grpc::ClientContext context;
    SetDeadline(context);
    return stub_->GetStatus(&context, v1::GetStatusRequest(), response);
  }

  bool AwaitListening(bool listening) {
    const absl::Time end = base::SystemClock().Steady() + absl::Seconds(30);
    while (daemon_.tap.listening() != listening) {
      if (base::SystemClock().Steady() > end) return false;
      base::SystemClock().Sleep(absl::Milliseconds(1));
    }
    return true;
  }

  test::FakeDaemonView daemon_;
  test::AbsentDatabase database_;
  test::FakeClock clock_{/*skip_waits=*/true};
  static writer::WriterOptions Writer() {
    writer::WriterOptions options;
    options.writer_id = "writer-7";
    options.journal_id = event::EventKey("journal");
    return options;
  }
  AdminService service_{daemon_, database_, clock_, Writer()};
  std::unique_ptr<grpc::Server> server_;
  std::unique_ptr<v1::AdminService::Stub> stub_;
};

TEST_F(AdminServiceTest, TheStatusIsTheDaemons) {
  v1::GetStatusResponse response;
  ASSERT_TRUE(GetStatus(&response).ok());
  EXPECT_EQ(response.writer_id(), "writer-7");
}

TEST_F(AdminServiceTest, TheHistoryIsTheDaemons) {
  admin::Sample sample;
  sample.at = absl::FromUnixSeconds(1767225605);
  sample.accepted = 7;
  sample.journal_sync_time = absl::Milliseconds(12);
  daemon_.history = {sample};
  grpc::ClientContext context;
  SetDeadline(context);
  v1::GetHistoryResponse history;
  ASSERT_TRUE(stub_->GetHistory(&context, v1::GetHistoryRequest(), &history).ok());
  ASSERT_EQ(history.samples_size(), 1);
  EXPECT_EQ(history.interval().seconds(), 5);
  EXPECT_EQ(history.samples(0).at().seconds(), 1767225605);
  EXPECT_EQ(history.samples(0).accepted(), 7);
  EXPECT_EQ(history.samples(0).journal_sync_time().nanos(), 12'000'000);
}

TEST_F(AdminServiceTest, AnAbsentDatabaseIsNoEmptyQuarantine) {
  const grpc::Status status = ListQuarantine({});
  EXPECT_EQ(status.error_code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_THAT(status.error_message(), HasSubstr("connect to db:3306: refused"));
}

TEST_F(AdminServiceTest, AQuestionThatCannotBeRightIsRefused) {
  v1::ListQuarantineRequest request;
  request.set_page_size(1001);
  EXPECT_EQ(ListQuarantine(request).error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  request.set_page_size(1);
  for (const char* token : {"x", "0", "-1", "1; DROP TABLE holdfast_quarantine"}) {
    request.set_page_token(token);
    EXPECT_EQ(ListQuarantine(request).error_code(), grpc::StatusCode::INVALID_ARGUMENT) << token;
  }
}

TEST_F(AdminServiceTest, ARequestToSettleNamesEventsAndWhoAsks) {
  const auto replay = [this](const v1::ReplayQuarantineRequest& request) {
    grpc::ClientContext context;
    SetDeadline(context);
    v1::ReplayQuarantineResponse response;
    return stub_->ReplayQuarantine(&context, request, &response);
  };
  v1::ReplayQuarantineRequest request;
  request.set_requested_by("somebody");
  EXPECT_THAT(replay(request).error_message(), HasSubstr("quarantine_ids: must be 1 to 100"));
  request.add_quarantine_ids(1);
  request.clear_requested_by();
  EXPECT_THAT(replay(request).error_message(), HasSubstr("requested_by: who asks"));
  request.set_requested_by("somebody");
  for (int i = 0; i < 100; ++i) request.add_quarantine_ids(1);
  EXPECT_EQ(replay(request).error_code(), grpc::StatusCode::INVALID_ARGUMENT);
}

TEST_F(AdminServiceTest, WithTheDatabaseAwayNothingIsSaidToBeDiscarded) {
  grpc::ClientContext context;
  SetDeadline(context);
  v1::DiscardQuarantineRequest request;
  request.add_quarantine_ids(1);
  request.set_requested_by("somebody");
  v1::DiscardQuarantineResponse response;
  const grpc::Status status = stub_->DiscardQuarantine(&context, request, &response);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_THAT(status.error_message(), HasSubstr("connect to db:3306: refused"));
}

TEST_F(AdminServiceTest, TheLogLevelIsChangedAndTold) {
  const base::LogLevel before = base::GetLogLevel();
  const auto get = [this] {
    grpc::ClientContext context;
    SetDeadline(context);
    v1::GetLogLevelResponse response;
    EXPECT_TRUE(stub_->GetLogLevel(&context, v1::GetLogLevelRequest(), &response).ok());
    return response.level();
  };
  const auto set = [this](const std::string& level, v1::SetLogLevelResponse* response) {
    grpc::ClientContext context;
    SetDeadline(context);
    v1::SetLogLevelRequest request;
    request.set_level(level);
    return stub_->SetLogLevel(&context, request, response);
  };
  v1::SetLogLevelResponse response;
  EXPECT_TRUE(set("error", &response).ok());
  EXPECT_EQ(response.previous(), base::LogLevelName(before));
  EXPECT_EQ(get(), "error");
  const grpc::Status refused = set("loud", &response);
  EXPECT_EQ(refused.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_THAT(refused.error_message(), HasSubstr("not one of debug, info, warning, error"));
  EXPECT_EQ(get(), "error");
  base::SetLogLevel(before);
}

TEST_F(AdminServiceTest, QuestionsThatWaitForTheDatabaseHoldUpNobodyAndAreBounded) {
  database_.Hold();
  std::vector<std::unique_ptr<grpc::ClientContext>> contexts;
  std::vector<v1::ListQuarantineResponse> responses(20);
  std::vector<grpc::Status> answers(20);
  std::atomic<int> exhausted = 0;
  std::atomic<int> answered = 0;
  const v1::ListQuarantineRequest request;
  for (size_t i = 0; i < 20; ++i) {
    contexts.push_back(std::make_unique<grpc::ClientContext>());
    SetDeadline(*contexts.back());
    stub_->async()->ListQuarantine(
        contexts.back().get(), &request, &responses[i], [&](const grpc::Status& status) {
          if (status.error_code() == grpc::StatusCode::RESOURCE_EXHAUSTED) {
            ++exhausted;
          }
          ++answered;
        });
  }
  ASSERT_TRUE(database_.AwaitAsked());
  // One is under way, eight wait, and the status is answered beside them.
  v1::GetStatusResponse response;
  EXPECT_TRUE(GetStatus(&response).ok());
  database_.LetGo();
  const absl::Time end = base::SystemClock().Steady() + absl::Seconds(30);
  while (answered < 20 && base::SystemClock().Steady() < end) {
    base::SystemClock().Sleep(absl::Milliseconds(1));
  }
  EXPECT_EQ(answered, 20);
  EXPECT_GE(exhausted, 20 - 1 - 8 - 1);
}

TEST_F(AdminServiceTest, OnlyTheCircuitOfThatNameIsReset) {
  EXPECT_EQ(ResetCircuit("redis").error_code(), grpc::StatusCode::NOT_FOUND);
  EXPECT_EQ(daemon_.resets, 0);
  EXPECT_TRUE(ResetCircuit("mysql").ok());
  EXPECT_EQ(daemon_.resets, 1);
  grpc::ClientContext context;
  SetDeadline(context);
  v1::ListCircuitsResponse circuits;
  ASSERT_TRUE(stub_->ListCircuits(&context, v1::ListCircuitsRequest(), &circuits).ok());
  ASSERT_EQ(circuits.circuits_size(), 1);
  EXPECT_EQ(circuits.circuits(0).name(), "mysql");
  EXPECT_EQ(circuits.circuits(0).state(), v1::CIRCUIT_STATE_CLOSED);
}

TEST_F(AdminServiceTest, ADiagnosisIsOfWhatTheDaemonDependsOnAndOfItsState) {
  daemon_.diagnosis.add_findings()->set_check("dns");
  v1::DiagnoseResponse response = Diagnose(false);
  ASSERT_GE(response.findings_size(), 2);
  EXPECT_EQ(response.findings(0).check(), "dns");
  EXPECT_EQ(response.findings(1).check(), "readiness");
  EXPECT_EQ(daemon_.diagnoses, 1);
  EXPECT_EQ(daemon_.probes_sought, 0);
}

TEST_F(AdminServiceTest, WhoAsksForTheProbeHearsOfTheProbeAlone) {
  daemon_.diagnosis.add_findings()->set_check("read back");
  EXPECT_EQ(Diagnose(true).findings_size(), 1);
  EXPECT_EQ(daemon_.diagnoses, 0);
  EXPECT_EQ(daemon_.probes_sought, 1);
}

TEST_F(AdminServiceTest, ADrainBeginsAndSaysHowLongItMayTake) {
  grpc::ClientContext context;
  SetDeadline(context);
  v1::DrainResponse response;
  ASSERT_TRUE(stub_->Drain(&context, v1::DrainRequest(), &response).ok());
  EXPECT_EQ(response.drain_timeout().seconds(), 25);
  EXPECT_EQ(daemon_.drains, 1);
}

TEST_F(AdminServiceTest, AnAbsentDatabaseIsNoCleanAudit) {
  grpc::ClientContext context;
  SetDeadline(context);
  v1::AuditResponse response;
  const grpc::Status status = stub_->Audit(&context, v1::AuditRequest(), &response);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_THAT(status.error_message(), HasSubstr("connect to db:3306: refused"));
}

TEST_F(AdminServiceTest, AnAuditThatCannotBeRightIsRefused) {
  grpc::ClientContext context;
  SetDeadline(context);
  v1::AuditRequest request;
  request.mutable_since()->set_seconds(int64_t{1} << 60);
  v1::AuditResponse response;
  const grpc::Status status = stub_->Audit(&context, request, &response);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_THAT(status.error_message(), HasSubstr("since"));
}

TEST_F(AdminServiceTest, WhoTailsIsShownWhatGoesByAndLeavesNothingBehind) {
  grpc::ClientContext context;
  SetDeadline(context);
  v1::TailRequest request;
  request.set_include_content(true);
  const auto reader = stub_->Tail(&context, request);
  ASSERT_TRUE(AwaitListening(true));
  v1::EventBatch batch;
  batch.set_first_sequence(7);
  v1::Event* const event = batch.add_events();
  event->mutable_occurred_at()->set_seconds(1767225600);
  event->mutable_usage()->set_event_id("a");
  event->mutable_usage()->set_api_key_id("key");
  journal::Durable durable;
  durable.batch = *event::Batch::Read(batch.SerializeAsString(), event::RandomUuid(), 1,
                                      absl::FromUnixSeconds(1767225601));
  durable.first_offset = durable.last_offset = 1;
  durable.ordinals = {1};
  daemon_.tap.OnDurable({durable}, absl::FromUnixSeconds(1767225601));
  daemon_.tap.OnSettled(durable.batch->items[0].lane, 1, {}, absl::FromUnixSeconds(1767225602));
  v1::TailResponse response;
  ASSERT_TRUE(reader->Read(&response));
  ASSERT_EQ(response.events_size(), 1);
  EXPECT_EQ(response.events(0).kind(), "usage");
  EXPECT_EQ(response.events(0).lane(), "usage-0");
  EXPECT_EQ(response.events(0).sequence(), 7);
  EXPECT_EQ(response.events(0).outcome(), v1::TAIL_OUTCOME_COMMITTED);
  EXPECT_EQ(response.events(0).age().seconds(), 1);
  EXPECT_EQ(response.events(0).took().seconds(), 1);
  EXPECT_EQ(response.events(0).event().usage().api_key_id(), "key");
  context.TryCancel();
  EXPECT_FALSE(reader->Read(&response));
  EXPECT_EQ(reader->Finish().error_code(), grpc::StatusCode::CANCELLED);
  EXPECT_TRUE(AwaitListening(false));
}

TEST_F(AdminServiceTest, ATailThatCannotBeIsRefused) {
  for (const auto& [rate, kind] :
       {std::pair<uint32_t, const char*>{1001, ""}, std::pair<uint32_t, const char*>{1, "x"}}) {
    grpc::ClientContext context;
    SetDeadline(context);
    v1::TailRequest request;
    request.set_rate_max(rate);
    request.set_kind(kind);
    const auto reader = stub_->Tail(&context, request);
    v1::TailResponse response;
    EXPECT_FALSE(reader->Read(&response));
    EXPECT_EQ(reader->Finish().error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  }
  EXPECT_FALSE(daemon_.tap.listening());
}

TEST_F(AdminServiceTest, NoMoreThanSoManyMayTail) {
  std::vector<std::shared_ptr<pipeline::TapQueue>> others;
  for (size_t i = 0; i < pipeline::Tap::kListenersMax; ++i) {
    others.push_back(daemon_.tap.Listen({}));
  }
  grpc::ClientContext context;
  SetDeadline(context);
  const auto reader = stub_->Tail(&context, v1::TailRequest());
  v1::TailResponse response;
  EXPECT_FALSE(reader->Read(&response));
  EXPECT_EQ(reader->Finish().error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
}

TEST_F(AdminServiceTest, ADrainEndsTheTails) {
  grpc::ClientContext context;
  SetDeadline(context);
  const auto reader = stub_->Tail(&context, v1::TailRequest());
  ASSERT_TRUE(AwaitListening(true));
  daemon_.SetDraining();
  v1::TailResponse response;
  EXPECT_FALSE(reader->Read(&response));
  EXPECT_EQ(reader->Finish().error_code(), grpc::StatusCode::UNAVAILABLE);
}

}  // namespace
}  // namespace holdfast::admin
