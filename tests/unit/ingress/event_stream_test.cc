#include <numeric>
#include <thread>

#include "gmock/gmock.h"

#include "tests/unit/ingress/ingress_fixture.h"

namespace holdfast::ingress {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

using EventStreamTest = IngressTest;

TEST_F(EventStreamTest, AHelloIsAnsweredWithWhatIsHeldAndWhatIsAllowed) {
  StartServer();
  pipeline_.Hold(Producer(), 41);
  ClientStream stream(*stub_);
  stream.Send(HelloOf(kProducer));
  const v1::Welcome welcome = stream.Next().welcome();
  EXPECT_EQ(welcome.resume_after(), 41);
  EXPECT_EQ(welcome.ack_level(), v1::ACK_LEVEL_JOURNALED);
  EXPECT_EQ(welcome.batch_events_max(), event::kBatchEventsMax);
  EXPECT_EQ(welcome.request_bytes_max(), options_.ingest.request_bytes_max);
}

TEST_F(EventStreamTest, TheDaemonsLevelHoldsForThoseWhoAskForNone) {
  options_.ingest.default_ack_level = v1::ACK_LEVEL_COMMITTED;
  StartServer();
  ClientStream silent(*stub_);
  silent.Send(HelloOf(kProducer));
  EXPECT_EQ(silent.Next().welcome().ack_level(), v1::ACK_LEVEL_COMMITTED);
  ClientStream asking(*stub_);
  asking.Send(HelloOf("0189a3f2-0000-7000-8000-000000000002", v1::ACK_LEVEL_JOURNALED));
  EXPECT_EQ(asking.Next().welcome().ack_level(), v1::ACK_LEVEL_JOURNALED);
}

TEST_F(EventStreamTest, WhatIsJournaledAndCommittedIsAcknowledged) {
  StartServer();
  auto stream = Open();
  stream->Send(Request(BatchOf(1, 3)));
  ASSERT_TRUE(pipeline_.AwaitBatches(1));
  EXPECT_EQ(pipeline_.batches()[0]->items.size(), 3);
  EXPECT_EQ(pipeline_.batches()[0]->producer, Producer());
  pipeline_.Progress(Producer(), 3, 0);
  EXPECT_EQ(stream->Next().ack().journaled_through(), 3);
  pipeline_.Progress(Producer(), 3, 3);
  const v1::Ack ack = stream->Next().ack();
  EXPECT_EQ(ack.journaled_through(), 3);
  EXPECT_EQ(ack.committed_through(), 3);
}

TEST_F(EventStreamTest, ABadEventIsRefusedAloneAndBeforeItsAck) {
  StartServer();
  auto stream = Open();
  stream->Send(Request(BatchOf(1, 3, {1})));
  ASSERT_TRUE(pipeline_.AwaitBatches(1));
  EXPECT_EQ(pipeline_.batches()[0]->items.size(), 2);
  pipeline_.Progress(Producer(), 3, 0);
  const v1::EventError error = stream->Next().event_error();
  EXPECT_EQ(error.sequence(), 2);
  EXPECT_EQ(error.field(), "usage.api_key_id");
  EXPECT_EQ(error.disposition(), v1::DISPOSITION_REFUSED);
  EXPECT_EQ(error.code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(stream->Next().ack().journaled_through(), 3);
  EXPECT_EQ(metrics_.EventsRefused("usage", "missing").Value(), 1);
}

TEST_F(EventStreamTest, WhatIsSentAgainIsRefusedAndAcknowledgedAgain) {
  StartServer();
  auto stream = Open();
  for (int turn = 0; turn < 2; ++turn) {
    stream->Send(Request(BatchOf(1, 2, {0})));
    ASSERT_TRUE(pipeline_.AwaitBatches(static_cast<size_t>(turn) + 1));
    pipeline_.Progress(Producer(), 2, 0);
    EXPECT_EQ(stream->Next().event_error().sequence(), 1) << "turn " << turn;
    EXPECT_EQ(stream->Next().ack().journaled_through(), 2) << "turn " << turn;
  }
}

TEST_F(EventStreamTest, WhatAnEarlierStreamBroughtIsAcknowledgedOnlyWhenItWasBroughtAgain) {
  StartServer();
  pipeline_.Hold(Producer(), 4);
  ClientStream stream(*stub_);
  v1::StreamRequest hello = HelloOf(kProducer);
  hello.mutable_hello()->set_first_sequence(2);
  stream.Send(hello);
  EXPECT_EQ(stream.Next().welcome().resume_after(), 4);
  // All four are held; what the client has heard of is only the first.
  pipeline_.Progress(Producer(), 4, 3);
  EXPECT_EQ(stream.Next().ack().journaled_through(), 1);
  stream.Send(Request(BatchOf(2, 2, {1})));
  EXPECT_EQ(stream.Next().event_error().sequence(), 3);
  const v1::Ack ack = stream.Next().ack();
  EXPECT_EQ(ack.journaled_through(), 3);
  EXPECT_EQ(ack.committed_through(), 3);
  stream.Send(Request(BatchOf(4, 1, {0})));
  EXPECT_EQ(stream.Next().event_error().sequence(), 4);
  EXPECT_EQ(stream.Next().ack().journaled_through(), 4);
}

TEST_F(EventStreamTest, AQuarantinedEventIsToldBeforeItsAck) {
  StartServer();
  auto stream = Open();
  stream->Send(Request(BatchOf(1, 2)));
  ASSERT_TRUE(pipeline_.AwaitBatches(1));
  writer::Rejection conflict;
  conflict.sequence = 2;
  conflict.reason = "the id is taken";
  writer::Rejection refused;
  refused.sequence = 1;
  refused.error_number = 1366;
  refused.column = "model";
  refused.reason = "incorrect value";
  pipeline_.Reject(Producer(), conflict);
  pipeline_.Reject(Producer(), refused);
  pipeline_.Progress(Producer(), 2, 2);
  const v1::EventError first = stream->Next().event_error();
  EXPECT_EQ(first.sequence(), 2);
  EXPECT_EQ(first.disposition(), v1::DISPOSITION_QUARANTINED);
  EXPECT_EQ(first.code(), grpc::StatusCode::ALREADY_EXISTS);
  const v1::EventError second = stream->Next().event_error();
  EXPECT_EQ(second.code(), grpc::StatusCode::FAILED_PRECONDITION);
  EXPECT_THAT(second.reason(), HasSubstr("column model"));
  EXPECT_EQ(stream->Next().ack().committed_through(), 2);
}

TEST_F(EventStreamTest, RateLimitsAreRefusedWhereTheyAreTurnedOff) {
  options_.ingest.take_rate_limits = false;
  StartServer();
  auto stream = Open();
  v1::EventBatch batch = BatchOf(1, 1);
  *batch.add_events() = test::HitsOf("user:1", 1);
  stream->Send(Request(batch));
  ASSERT_TRUE(pipeline_.AwaitBatches(1));
  EXPECT_EQ(pipeline_.batches()[0]->items.size(), 1);
  const v1::EventError error = stream->Next().event_error();
  EXPECT_EQ(error.sequence(), 2);
  EXPECT_EQ(error.field(), "rate_limit");
  EXPECT_THAT(error.reason(), HasSubstr("RATE_LIMIT_MYSQL_ENABLED is false"));
  EXPECT_EQ(metrics_.EventsRefused("rate_limit", "disabled").Value(), 1);
}

struct BadRequestCase {
  std::string name;
  std::vector<v1::StreamRequest> requests;
  std::string field;
};

class BadRequestTest : public IngressTest, public testing::WithParamInterface<BadRequestCase> {};

TEST_P(BadRequestTest, EndsTheStreamAndNamesTheField) {
  StartServer();
  ClientStream stream(*stub_);
  for (const v1::StreamRequest& request : GetParam().requests) stream.Send(request);
  const grpc::Status status = stream.EndAfterAll();
  EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT) << status.error_message();
  EXPECT_THAT(FieldsOf(status), ElementsAre(GetParam().field)) << status.error_message();
  EXPECT_TRUE(pipeline_.batches().empty());
  EXPECT_TRUE(pipeline_.AwaitStreams(0));
}

std::string NameOf(const testing::TestParamInfo<BadRequestCase>& info) { return info.param.name; }

v1::EventBatch LargeBatch() {
  v1::EventBatch batch;
  batch.set_first_sequence(1);
  for (int i = 0; i < 5; ++i) {
    *batch.add_events() = test::MessageOf(test::UuidOf(static_cast<uint64_t>(i)));
    batch.mutable_events(i)->mutable_message()->set_raw_json(std::string(900'000, ' '));
  }
  return batch;
}

INSTANTIATE_TEST_SUITE_P(
    EventStreamTest, BadRequestTest,
    testing::Values(
        BadRequestCase{"NoHello", {Request(BatchOf(1, 1))}, "request"},
        BadRequestCase{"Nothing", {v1::StreamRequest()}, "request"},
        BadRequestCase{"SecondHello", {HelloOf(kProducer), HelloOf(kProducer)}, "hello"},
        BadRequestCase{"ProducerIsNoUuid", {HelloOf("pod-7")}, "hello.producer_id"},
        BadRequestCase{"NoProducer", {HelloOf("")}, "hello.producer_id"},
        BadRequestCase{
            "NilProducer", {HelloOf("00000000-0000-0000-0000-000000000000")}, "hello.producer_id"},
        BadRequestCase{
            "UnknownLevel", {HelloOf(kProducer, static_cast<v1::AckLevel>(9))}, "hello.ack_level"},
        BadRequestCase{"NoEvents", {HelloOf(kProducer), Request(BatchOf(1, 0))}, "batch.events"},
        BadRequestCase{
            "TooManyEvents", {HelloOf(kProducer), Request(BatchOf(1, 8193))}, "batch.events"},
        BadRequestCase{"NoFirstSequence",
                       {HelloOf(kProducer), Request(BatchOf(0, 1))},
                       "batch.first_sequence"},
        BadRequestCase{"TooLarge", {HelloOf(kProducer), Request(LargeBatch())}, "request"}),
    NameOf);

TEST_F(EventStreamTest, AGapEndsTheStreamWithWhatWasExpected) {
  StartServer();
  auto stream = Open();
  pipeline_.FailSubmits(absl::FailedPreconditionError("expected first_sequence 1"));
  stream->Send(Request(BatchOf(5, 1)));
  const grpc::Status status = stream->End();
  EXPECT_EQ(status.error_code(), grpc::StatusCode::FAILED_PRECONDITION);
  EXPECT_EQ(status.error_message(), "expected first_sequence 1");
}

TEST_F(EventStreamTest, AFullJournalEndsTheStreamAfterTheAcksThatAreDue) {
  StartServer();
  auto stream = Open();
  stream->Send(Request(BatchOf(1, 2)));
  ASSERT_TRUE(pipeline_.AwaitBatches(1));
  pipeline_.FailSubmits(absl::ResourceExhaustedError("the journal is full"));
  stream->Send(Request(BatchOf(3, 2)));
  // The refusal is known to the stream once it asks for nothing more; the first batch is still
  // owed.
  pipeline_.Progress(Producer(), 2, 0);
  EXPECT_EQ(stream->Next().ack().journaled_through(), 2);
  const grpc::Status status = stream->End();
  EXPECT_EQ(status.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  int wait = 0;
  ASSERT_TRUE(absl::SimpleAtoi(stream->Trailer("grpc-retry-pushback-ms"), &wait));
  EXPECT_GE(wait, 1000);
  EXPECT_LT(wait, 2000);
}

TEST_F(EventStreamTest, AnotherStreamOfTheProducerEndsThisOne) {
  StartServer();
  auto stream = Open();
  stream->Send(Request(BatchOf(1, 2)));
  ASSERT_TRUE(pipeline_.AwaitBatches(1));
  // What is on its way is not waited for: its acknowledgement goes to the other stream.
  pipeline_.End(Producer(), absl::AbortedError("another stream took over"));
  EXPECT_EQ(stream->End().error_code(), grpc::StatusCode::ABORTED);
}

TEST_F(EventStreamTest, AFailedJournalEndsTheStreamThoughItDrains) {
  StartServer();
  auto stream = Open();
  stream->Send(Request(BatchOf(1, 2)));
  ASSERT_TRUE(pipeline_.AwaitBatches(1));
  std::thread shutdown([this] { server_->Shutdown(absl::Seconds(20)); });
  pipeline_.End(Producer(), absl::DataLossError("the disk failed"));
  const grpc::StatusCode code = stream->EndAfterAll().error_code();
  shutdown.join();
  EXPECT_EQ(code, grpc::StatusCode::DATA_LOSS);
}

TEST_F(EventStreamTest, ADrainAcknowledgesWhatWasReadAndEndsWithUnavailable) {
  StartServer();
  auto stream = Open();
  stream->Send(Request(BatchOf(1, 2)));
  ASSERT_TRUE(pipeline_.AwaitBatches(1));
  std::thread shutdown([this] { server_->Shutdown(absl::Seconds(20)); });
  pipeline_.Progress(Producer(), 2, 0);
  EXPECT_EQ(stream->Next().ack().journaled_through(), 2);
  EXPECT_EQ(stream->End().error_code(), grpc::StatusCode::UNAVAILABLE);
  shutdown.join();
  EXPECT_TRUE(pipeline_.AwaitStreams(0));
}

TEST_F(EventStreamTest, AHalfClosedStreamEndsWhenAllIsJournaled) {
  StartServer();
  auto stream = Open(v1::ACK_LEVEL_JOURNALED);
  stream->Send(Request(BatchOf(1, 2)));
  stream->Send(Request(BatchOf(3, 2)));
  stream->HalfClose();
  ASSERT_TRUE(pipeline_.AwaitBatches(2));
  pipeline_.Progress(Producer(), 2, 0);
  EXPECT_EQ(stream->Next().ack().journaled_through(), 2);
  pipeline_.Progress(Producer(), 4, 0);
  EXPECT_EQ(stream->Next().ack().journaled_through(), 4);
  EXPECT_TRUE(stream->End().ok());
}

TEST_F(EventStreamTest, AHalfClosedStreamThatAsksForCommittedWaitsForTheDatabase) {
  StartServer();
  auto stream = Open(v1::ACK_LEVEL_COMMITTED);
  stream->Send(Request(BatchOf(1, 2)));
  stream->HalfClose();
  ASSERT_TRUE(pipeline_.AwaitBatches(1));
  pipeline_.Progress(Producer(), 2, 0);
  EXPECT_EQ(stream->Next().ack().committed_through(), 0);
  pipeline_.Progress(Producer(), 2, 2);
  EXPECT_EQ(stream->Next().ack().committed_through(), 2);
  EXPECT_TRUE(stream->End().ok());
}

TEST_F(EventStreamTest, AStreamThatEndsWithoutAHelloIsAnError) {
  StartServer();
  ClientStream stream(*stub_);
  stream.HalfClose();
  EXPECT_EQ(stream.End().error_code(), grpc::StatusCode::INVALID_ARGUMENT);
}

TEST_F(EventStreamTest, NothingIsReadWhileTooMuchWaitsForTheJournal) {
  options_.ingest.waiting_batches_max = 2;
  StartServer();
  auto stream = Open();
  for (uint64_t batch = 0; batch < 4; ++batch) stream->Send(Request(BatchOf(1 + batch, 1)));
  ASSERT_TRUE(Await([&] { return metrics_.stream_stalls->Value() == 1; }));
  EXPECT_EQ(pipeline_.batches().size(), 2);
  pipeline_.Progress(Producer(), 2, 0);
  EXPECT_TRUE(pipeline_.AwaitBatches(4));
}

TEST_F(EventStreamTest, NothingIsReadWhileThePipelineHasNoRoom) {
  StartServer();
  pipeline_.CloseRoom();
  auto stream = Open();
  stream->Send(Request(BatchOf(1, 1)));
  ASSERT_TRUE(pipeline_.AwaitRoomAsked());
  ASSERT_TRUE(Await([&] { return metrics_.stream_stalls->Value() == 1; }));
  EXPECT_EQ(pipeline_.batches().size(), 0);
  pipeline_.OpenRoom();
  EXPECT_TRUE(pipeline_.AwaitBatches(1));
}

TEST_F(EventStreamTest, NothingIsReadWhileTheClientDoesNotReadItsErrors) {
  options_.ingest.unread_errors_max = 100;
  StartServer();
  auto stream = Open();
  std::vector<int> all(8192);
  std::iota(all.begin(), all.end(), 0);
  stream->Send(Request(BatchOf(1, 8192, all)));
  ASSERT_TRUE(pipeline_.AwaitBatches(1));
  ASSERT_TRUE(Await([&] { return metrics_.stream_stalls->Value() == 1; }));
  stream->Send(Request(BatchOf(8193, 1)));
  // What fits into gRPC's windows has gone out; far less than all of it.
  EXPECT_EQ(pipeline_.batches().size(), 1);
  for (uint64_t sequence = 1; sequence <= 8192; ++sequence) {
    ASSERT_EQ(stream->Next().event_error().sequence(), sequence);
  }
  EXPECT_TRUE(pipeline_.AwaitBatches(2));
}

TEST_F(EventStreamTest, AClientThatNeverReadsWhatTheDatabaseRefusedLosesItsStream) {
  options_.ingest.unread_errors_end = 2000;
  StartServer();
  auto stream = Open();
  writer::Rejection rejection;
  rejection.reason = std::string(4096, 'x');
  for (int i = 0; i < 4000; ++i) pipeline_.Reject(Producer(), rejection);
  EXPECT_EQ(stream->EndAfterAll().error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
}

TEST_F(EventStreamTest, ACancelledStreamLeavesThePipeline) {
  StartServer();
  auto stream = Open();
  stream->Send(Request(BatchOf(1, 2, {0})));
  ASSERT_TRUE(pipeline_.AwaitBatches(1));
  ASSERT_EQ(metrics_.streams->Value(), 1);
  stream->Cancel();
  EXPECT_TRUE(pipeline_.AwaitStreams(0));
  EXPECT_TRUE(Await([&] { return metrics_.streams->Value() == 0; }));
  EXPECT_EQ(stream->EndAfterAll().error_code(), grpc::StatusCode::CANCELLED);
}

TEST_F(EventStreamTest, AVanishedClientLeavesThePipeline) {
  StartServer();
  {
    auto channel = NewChannel();
    auto stub = v1::IngestService::NewStub(channel);
    ClientStream stream(*stub);
    stream.Send(HelloOf(kProducer));
    ASSERT_TRUE(stream.Next().has_welcome());
  }
  EXPECT_TRUE(pipeline_.AwaitStreams(0));
}

TEST_F(EventStreamTest, MoreStreamsThanAllowedAreSentAway) {
  options_.ingest.calls.streams_max = 1;
  StartServer();
  auto first = Open();
  ClientStream second(*stub_);
  EXPECT_EQ(second.EndAfterAll().error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_NE(second.Trailer("grpc-retry-pushback-ms"), "");
  first->HalfClose();
  EXPECT_TRUE(first->End().ok());
  // Its place is free again once it has left.
  ASSERT_TRUE(Await([&] { return metrics_.streams->Value() == 0; }));
  Open();
}

TEST_F(EventStreamTest, ManyStreamsThatComeAndGoDisturbNobody) {
  StartServer();
  auto steady = Open();
  std::vector<std::thread> threads;
  for (uint64_t t = 0; t < 4; ++t) {
    threads.emplace_back([this, t] {
      for (uint64_t i = 0; i < 25; ++i) {
        ClientStream stream(*stub_);
        stream.Send(HelloOf(test::UuidOf(1000 * (t + 1) + i)));
        stream.Send(Request(BatchOf(1, 10, {3})));
        if (i % 2 == 0) stream.Cancel();
        if (i % 2 == 1) stream.Next();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  ASSERT_TRUE(pipeline_.AwaitStreams(1));
  pipeline_.Progress(Producer(), 7, 7);
  EXPECT_EQ(steady->Next().ack().journaled_through(), 7);
}

TEST_F(EventStreamTest, EveryBatchOfAStreamBelongsToItsTrace) {
  const std::string text = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
  StartServer();
  ClientStream stream(*stub_, text);
  EXPECT_TRUE(stream.Send(HelloOf(kProducer)));
  EXPECT_TRUE(stream.Next().has_welcome());
  EXPECT_TRUE(stream.Send(Request(BatchOf(1, 1))));
  EXPECT_TRUE(stream.Send(Request(BatchOf(2, 1))));
  ASSERT_TRUE(Await([this] { return pipeline_.batches().size() == 2; }));
  for (const auto& batch : pipeline_.batches()) {
    EXPECT_EQ(event::FormatTraceparent(batch->trace), text);
  }
  stream.Cancel();
}

}  // namespace
}  // namespace holdfast::ingress
