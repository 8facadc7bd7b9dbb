// A lane writer on a database in memory.

#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/numbers.h"
#include "gtest/gtest.h"

#include "server/event/event_id.h"
#include "server/event/kind.h"
#include "server/metrics/metrics.h"
#include "server/mysql/errors.h"
#include "server/writer/lane_writer.h"
#include "tests/support/accepted_events.h"
#include "tests/support/fake_clock.h"
#include "tests/support/fake_database.h"
#include "tests/support/status_matchers.h"

namespace holdfast::writer {

inline constexpr event::Lane kUsageLane = event::MakeLane(event::Kind::kUsage, 0);
inline constexpr event::Lane kRateLane = event::MakeLane(event::Kind::kRateLimit, 0);
inline constexpr event::Lane kMessageLane = event::MakeLane(event::Kind::kMessage, 0);

using Kind = Written::Kind;

MATCHER_P(HasVerdict, verdict, "") {
  const absl::Status& status = test::StatusOf(arg);
  *result_listener << status.ToString();
  return !status.ok() && mysql::VerdictOf(status) == verdict;
}

class WriterTest : public ::testing::Test {
 protected:
  static WriterOptions DefaultOptions() {
    WriterOptions options;
    options.writer_id = "writer-1";
    options.journal_id = event::EventKey("journal-1");
    return options;
  }

  std::unique_ptr<LaneWriter> NewWriter(event::Lane lane,
                                        const WriterOptions& options = DefaultOptions(),
                                        uint64_t recovered_head = UINT64_MAX) {
    return std::make_unique<LaneWriter>(options, lane, recovered_head, database_, clock_, metrics_);
  }

  std::unique_ptr<LaneWriter> OpenWriter(event::Lane lane,
                                         const WriterOptions& options = DefaultOptions()) {
    std::unique_ptr<LaneWriter> writer = NewWriter(lane, options);
    EXPECT_OK(writer->Open());
    return writer;
  }

  // Writes everything after the seat, as a lane does: again after each failure, on from wherever
  // the seat is. Returns the attempts.
  int WriteAll(LaneWriter& writer, const test::AcceptedEvents& events,
               std::vector<Rejection>* rejections = nullptr) {
    int attempts = 0;
    while (true) {
      const absl::Span<const event::Accepted> rest = events.After(writer.seat().position);
      if (rest.empty() || ++attempts > 1000) return attempts;
      absl::StatusOr<Written> written = writer.Write(rest);
      if (!written.ok() || rejections == nullptr) continue;
      for (Rejection& rejection : written->rejections) rejections->push_back(std::move(rejection));
    }
  }

  // The number in the only row of a table.
  uint64_t Number(absl::string_view table, const std::string& column) const {
    const std::vector<mysql::ResultRow> rows = database_.Read(table, {column});
    uint64_t number = UINT64_MAX;
    EXPECT_EQ(rows.size(), 1u) << table;
    if (rows.size() == 1) {
      EXPECT_TRUE(absl::SimpleAtoi(*rows[0][0], &number));
    }
    return number;
  }

  // The lane's row of writer-1, which must balance.
  Seat Row(absl::string_view lane = "usage-0") const {
    for (const mysql::ResultRow& row :
         database_.Read("holdfast_lanes", {"lane", "epoch", "position", "committed", "duplicate",
                                           "quarantined", "adjusted", "writer_id"})) {
      if (*row[0] != lane || *row[7] != "writer-1") continue;
      Seat seat;
      EXPECT_TRUE(absl::SimpleAtoi(*row[1], &seat.epoch));
      EXPECT_TRUE(absl::SimpleAtoi(*row[2], &seat.position));
      EXPECT_TRUE(absl::SimpleAtoi(*row[3], &seat.committed));
      EXPECT_TRUE(absl::SimpleAtoi(*row[4], &seat.duplicate));
      EXPECT_TRUE(absl::SimpleAtoi(*row[5], &seat.quarantined));
      EXPECT_TRUE(absl::SimpleAtoi(*row[6], &seat.adjusted));
      EXPECT_EQ(
          static_cast<int64_t>(seat.position),
          static_cast<int64_t>(seat.committed + seat.duplicate + seat.quarantined) + seat.adjusted);
      return seat;
    }
    ADD_FAILURE() << "no row of lane " << lane;
    return Seat();
  }

  static void ExpectSame(const Seat& a, const Seat& b) {
    EXPECT_EQ(a.epoch, b.epoch);
    EXPECT_EQ(a.position, b.position);
    EXPECT_EQ(a.committed, b.committed);
    EXPECT_EQ(a.duplicate, b.duplicate);
    EXPECT_EQ(a.quarantined, b.quarantined);
    EXPECT_EQ(a.adjusted, b.adjusted);
  }

  uint64_t Requests() const { return Number("usage_stats", "requests"); }

  double Committed(event::Kind kind = event::Kind::kUsage) const {
    return metrics_.events_committed[static_cast<size_t>(kind)]->Value();
  }

  test::FakeClock clock_{/*skip_waits=*/true};
  metrics::Metrics metrics_{"test"};
  test::FakeDatabase database_;
  test::AcceptedEvents events_;
};

}  // namespace holdfast::writer
