#include <future>

#include "gmock/gmock.h"

#include "tests/unit/ingress/ingress_fixture.h"

namespace holdfast::ingress {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class UnaryWriteTest : public IngressTest {
 protected:
  struct Result {
    grpc::Status status;
    v1::WriteResponse response;
    std::string pushback;
  };

  std::future<Result> Write(v1::EventBatch batch, v1::AckLevel level = v1::ACK_LEVEL_UNSPECIFIED,
                            std::string producer = "",
                            std::chrono::milliseconds timeout = std::chrono::seconds(60),
                            std::vector<std::string> traceparents = {}) {
    return std::async(std::launch::async, [=, this] {
      v1::WriteRequest request;
      request.set_producer_id(producer);
      request.set_wait_for(level);
      *request.mutable_batch() = batch;
      grpc::ClientContext context;
      for (const std::string& text : traceparents) context.AddMetadata("traceparent", text);
      context.set_deadline(std::chrono::system_clock::now() + timeout);
      Result result;
      result.status = stub_->Write(&context, request, &result.response);
      const auto& trailers = context.GetServerTrailingMetadata();
      const auto found = trailers.find("grpc-retry-pushback-ms");
      if (found != trailers.end()) {
        result.pushback = std::string(found->second.data(), found->second.size());
      }
      return result;
    });
  }
};

TEST_F(UnaryWriteTest, ABatchOfNobodyIsNumberedFromOne) {
  StartServer();
  auto write = Write(BatchOf(0, 2));
  ASSERT_TRUE(pipeline_.AwaitWrites(1));
  EXPECT_TRUE(pipeline_.batches()[0]->producer.is_nil());
  EXPECT_EQ(pipeline_.batches()[0]->last_sequence, 2);
  EXPECT_FALSE(pipeline_.OldestWaitsForCommit());
  pipeline_.Answer({});
  const Result result = write.get();
  ASSERT_TRUE(result.status.ok()) << result.status.error_message();
  ASSERT_EQ(result.response.results_size(), 2);
  EXPECT_EQ(result.response.results(0).outcome(), v1::OUTCOME_JOURNALED);
  EXPECT_EQ(result.response.results(1).outcome(), v1::OUTCOME_JOURNALED);
}

TEST_F(UnaryWriteTest, EachEventHasItsOwnResult) {
  StartServer();
  auto write = Write(BatchOf(5, 4, {1}), v1::ACK_LEVEL_COMMITTED, kProducer);
  ASSERT_TRUE(pipeline_.AwaitWrites(1));
  EXPECT_EQ(pipeline_.batches()[0]->producer, Producer());
  EXPECT_TRUE(pipeline_.OldestWaitsForCommit());
  pipeline::Receipt receipt;
  receipt.committed = true;
  receipt.rejections.push_back({Producer(), 7, 0, 1366, "model", "incorrect value"});
  pipeline_.Answer(receipt);
  const Result result = write.get();
  ASSERT_TRUE(result.status.ok()) << result.status.error_message();
  ASSERT_EQ(result.response.results_size(), 4);
  EXPECT_EQ(result.response.results(0).outcome(), v1::OUTCOME_COMMITTED);
  EXPECT_EQ(result.response.results(1).outcome(), v1::OUTCOME_REFUSED);
  EXPECT_EQ(result.response.results(1).field(), "usage.api_key_id");
  EXPECT_EQ(result.response.results(1).code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(result.response.results(2).outcome(), v1::OUTCOME_QUARANTINED);
  EXPECT_EQ(result.response.results(2).code(), grpc::StatusCode::FAILED_PRECONDITION);
  EXPECT_EQ(result.response.results(3).outcome(), v1::OUTCOME_COMMITTED);
}

TEST_F(UnaryWriteTest, ARequestThatCannotBeRightNamesItsField) {
  StartServer();
  const Result no_uuid = Write(BatchOf(1, 1), v1::ACK_LEVEL_UNSPECIFIED, "pod-7").get();
  EXPECT_EQ(no_uuid.status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_THAT(FieldsOf(no_uuid.status), ElementsAre("producer_id"));
  const Result no_events = Write(BatchOf(0, 0)).get();
  EXPECT_THAT(FieldsOf(no_events.status), ElementsAre("batch.events"));
  const Result no_sequence = Write(BatchOf(0, 1), v1::ACK_LEVEL_UNSPECIFIED, kProducer).get();
  EXPECT_THAT(FieldsOf(no_sequence.status), ElementsAre("batch.first_sequence"));
  const Result sequence_of_nobody = Write(BatchOf(3, 1)).get();
  EXPECT_THAT(FieldsOf(sequence_of_nobody.status), ElementsAre("batch.first_sequence"));
  const Result level = Write(BatchOf(0, 1), static_cast<v1::AckLevel>(7)).get();
  EXPECT_THAT(FieldsOf(level.status), ElementsAre("wait_for"));
  EXPECT_TRUE(pipeline_.batches().empty());
}

TEST_F(UnaryWriteTest, AFullJournalSaysHowLongToWait) {
  StartServer();
  pipeline_.FailSubmits(absl::ResourceExhaustedError("the journal is full"));
  const Result result = Write(BatchOf(0, 1)).get();
  EXPECT_EQ(result.status.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  int wait = 0;
  ASSERT_TRUE(absl::SimpleAtoi(result.pushback, &wait));
  EXPECT_GE(wait, 1000);
}

TEST_F(UnaryWriteTest, ACallWhoseDeadlinePassesNoLongerWaits) {
  StartServer();
  auto write = Write(BatchOf(0, 1), v1::ACK_LEVEL_COMMITTED, "", std::chrono::milliseconds(100));
  EXPECT_EQ(write.get().status.error_code(), grpc::StatusCode::DEADLINE_EXCEEDED);
  EXPECT_TRUE(Await([&] { return pipeline_.cancelled() == 1; }));
  EXPECT_TRUE(pipeline_.AwaitWrites(0));
}

TEST_F(UnaryWriteTest, MoreCallsThanAllowedAreSentAwayUntilOneIsDone) {
  options_.ingest.calls.writes_max = 1;
  StartServer();
  auto first = Write(BatchOf(0, 1));
  ASSERT_TRUE(pipeline_.AwaitWrites(1));
  const Result second = Write(BatchOf(0, 1)).get();
  EXPECT_EQ(second.status.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_NE(second.pushback, "");
  pipeline_.Answer({});
  EXPECT_TRUE(first.get().status.ok());
  // The place is free once the first call has left, which is a moment after its answer.
  ASSERT_TRUE(Await([&] {
    auto third = Write(BatchOf(0, 1));
    while (third.wait_for(std::chrono::milliseconds(1)) != std::future_status::ready) {
      pipeline_.AnswerIfAny({});
    }
    return third.get().status.ok();
  }));
}

TEST_F(UnaryWriteTest, WhatCallsMayHoldTogetherIsBounded) {
  options_.ingest.calls.write_bytes_max = 100;
  StartServer();
  const Result result = Write(BatchOf(0, 10)).get();
  EXPECT_EQ(result.status.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_THAT(result.status.error_message(), HasSubstr("too many Write calls"));
}

TEST_F(UnaryWriteTest, AFailureAfterTheBatchWasTakenIsTheCallsOwn) {
  StartServer();
  auto write = Write(BatchOf(0, 1));
  ASSERT_TRUE(pipeline_.AwaitWrites(1));
  pipeline::Receipt receipt;
  receipt.status = absl::DataLossError("the disk failed");
  pipeline_.Answer(receipt);
  EXPECT_EQ(write.get().status.error_code(), grpc::StatusCode::DATA_LOSS);
}

TEST_F(UnaryWriteTest, TheBatchBelongsToTheTraceOfItsCall) {
  const std::string text = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
  const std::string other = "00-11111111111111111111111111111111-b7ad6b7169203331-01";
  StartServer();
  const auto trace_of = [this](std::vector<std::string> traceparents) {
    const size_t before = pipeline_.batches().size();
    auto write = Write(BatchOf(0, 1), v1::ACK_LEVEL_UNSPECIFIED, "", std::chrono::seconds(60),
                       std::move(traceparents));
    EXPECT_TRUE(Await([&] { return pipeline_.batches().size() > before; }));
    pipeline_.Answer({});
    // Whatever it says, nothing is refused for it.
    EXPECT_TRUE(write.get().status.ok());
    return pipeline_.batches().back()->trace;
  };
  EXPECT_FALSE(trace_of({}).is_set());
  EXPECT_EQ(event::FormatTraceparent(trace_of({text})), text);
  EXPECT_FALSE(trace_of({"00-'; DROP TABLE usage_records; --"}).is_set());
  EXPECT_FALSE(trace_of({text, other}).is_set()) << "which one?";
}

}  // namespace
}  // namespace holdfast::ingress
