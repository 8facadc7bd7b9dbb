#include "tests/bench/rivals.h"

#include <mysql.h>

#include <atomic>
#include <cstdio>
#include <fstream>
#include <memory>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"

#include "server/base/check.h"
#include "server/base/clock.h"
#include "server/base/status_macros.h"
#include "server/event/event_id.h"
#include "server/metrics/metrics.h"
#include "server/statement/batch.h"
#include "server/writer/lane_writer.h"
#include "tests/bench/workload.h"

namespace holdfast::bench {
namespace {

// Before the clock starts: connecting is not what is measured.
absl::StatusOr<std::vector<mysql::Rented>> RentAll(mysql::Pool& pool, size_t count) {
  std::vector<mysql::Rented> sessions;
  for (size_t i = 0; i < count; ++i) {
    auto session = pool.Rent(base::SystemClock().Steady() + absl::Seconds(30));
    HOLDFAST_RETURN_IF_ERROR(session.status());
    sessions.push_back(std::move(*session));
  }
  return sessions;
}

event::Kind KindOf(const event::Accepted& accepted) {
  event::Decoded event;
  HOLDFAST_CHECK(!event::Decode(accepted.bytes, &event).has_value());
  return event::KindOf(event.view);
}

absl::Status WriteBare(mysql::Session& session, const std::vector<event::Accepted>& events) {
  const auto batch = statement::Batch::Make(KindOf(events.front()), events, {.tag = 1});
  const statement::Call& raw = batch->raw();
  HOLDFAST_RETURN_IF_ERROR(session.Begin());
  HOLDFAST_RETURN_IF_ERROR(session.Execute(*raw.statement, raw.rows, 0, raw.rows.size()).status());
  return session.Commit();
}

}  // namespace

absl::StatusOr<absl::Duration> BareBulk(const Setting& setting,
                                        const std::vector<v1::Event>& events) {
  metrics::Metrics metrics("bench");
  mysql::Pool pool(setting.database, base::SystemClock(), metrics);
  const std::vector<LaneWork> work =
      MakeLaneWork(events, setting.connections, setting.rows, base::SystemClock().Now());
  HOLDFAST_ASSIGN_OR_RETURN(std::vector<mysql::Rented> sessions, RentAll(pool, work.size()));
  return TimeThreads(work.size(), [&](size_t index) -> absl::Status {
    for (const auto& batch : work[index].batches) {
      HOLDFAST_RETURN_IF_ERROR(WriteBare(*sessions[index], batch));
    }
    return absl::OkStatus();
  });
}

absl::StatusOr<absl::Duration> Autocommit(const Setting& setting,
                                          const std::vector<v1::Event>& events) {
  metrics::Metrics metrics("bench");
  mysql::Pool pool(setting.database, base::SystemClock(), metrics);
  const std::vector<LaneWork> work =
      MakeLaneWork(events, setting.connections, 1, base::SystemClock().Now());
  HOLDFAST_ASSIGN_OR_RETURN(std::vector<mysql::Rented> sessions, RentAll(pool, work.size()));
  return TimeThreads(work.size(), [&](size_t index) -> absl::Status {
    for (const auto& batch : work[index].batches) {
      const auto row = statement::Batch::Make(KindOf(batch.front()), batch, {.tag = 1});
      const statement::Call& raw = row->raw();
      HOLDFAST_RETURN_IF_ERROR(sessions[index]->Execute(*raw.statement, raw.rows, 0, 1).status());
    }
    return absl::OkStatus();
  });
}

absl::StatusOr<absl::Duration> InProcess(const Setting& setting,
                                         const std::vector<v1::Event>& events) {
  metrics::Metrics metrics("bench");
  mysql::Pool pool(setting.database, base::SystemClock(), metrics);
  const std::vector<LaneWork> work =
      MakeLaneWork(events, setting.connections, setting.rows, base::SystemClock().Now());
  writer::WriterOptions options;
  options.writer_id = event::FormatUuid(event::RandomUuid());
  options.journal_id = event::RandomUuid();
  options.rows_max = static_cast<int>(setting.rows);
  std::vector<std::unique_ptr<writer::LaneWriter>> lanes;
  for (const LaneWork& lane : work) {
    lanes.push_back(std::make_unique<writer::LaneWriter>(options, lane.lane, 0, pool,
                                                         base::SystemClock(), metrics));
    HOLDFAST_RETURN_IF_ERROR(lanes.back()->Open());
  }
  return TimeThreads(work.size(), [&](size_t index) -> absl::Status {
    for (const auto& batch : work[index].batches) {
      const auto written = lanes[index]->Write(batch);
      HOLDFAST_RETURN_IF_ERROR(written.status());
      if (written->done != batch.size()) {
        return absl::InternalError("a batch was not written whole");
      }
    }
    return absl::OkStatus();
  });
}

absl::StatusOr<absl::Duration> LoadData(const Setting& setting,
                                        const std::vector<v1::Event>& events) {
  constexpr size_t kFileRows = 50000;
  std::vector<std::string> files;
  const absl::Cleanup remove_files = [&files] {
    for (const std::string& file : files) std::remove(file.c_str());
  };
  for (size_t first = 0; first < events.size(); first += kFileRows) {
    files.push_back(absl::StrCat(setting.folder, "/rows-", first, ".tsv"));
    std::ofstream out(files.back());
    for (size_t i = first; i < std::min(events.size(), first + kFileRows); ++i) {
      const v1::MessageEvent& message = events[i].message();
      out << message.ig_message_id() << '\t' << message.ig_sender_id() << '\t'
          << message.ig_recipient_id() << '\t' << message.text() << '\t' << message.timestamp_ms()
          << '\t' << message.conversation_id() << "\tin\t"
          << absl::FormatTime("%Y-%m-%d %H:%M:%S",
                              absl::FromUnixSeconds(events[i].occurred_at().seconds()),
                              absl::UTCTimeZone())
          << '\n';
    }
  }
  std::atomic<size_t> next = 0;
  return TimeThreads(static_cast<size_t>(setting.connections), [&](size_t) -> absl::Status {
    MYSQL* connection = mysql_init(nullptr);
    const absl::Cleanup close = [connection] { mysql_close(connection); };
    unsigned int local = 1;
    mysql_options(connection, MYSQL_OPT_LOCAL_INFILE, &local);
    const mysql::Endpoint& endpoint = setting.database.endpoints.front();
    if (mysql_real_connect(connection, endpoint.host.c_str(), setting.database.user.c_str(),
                           setting.database.password.c_str(), setting.database.database.c_str(),
                           static_cast<unsigned>(endpoint.port), endpoint.socket.c_str(),
                           CLIENT_LOCAL_FILES) == nullptr) {
      return absl::UnavailableError(mysql_error(connection));
    }
    for (size_t file = next++; file < files.size(); file = next++) {
      const std::string sql = absl::StrCat(
          "LOAD DATA LOCAL INFILE '", files[file],
          "' IGNORE INTO TABLE message (ig_message_id, ig_sender_id, ig_recipient_id, text, "
          "timestamp_ms, conversation_id, direction, created_at)");
      if (mysql_query(connection, sql.c_str()) != 0) {
        return absl::UnavailableError(mysql_error(connection));
      }
    }
    return absl::OkStatus();
  });
}

}  // namespace holdfast::bench
