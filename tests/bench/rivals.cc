#include "tests/bench/rivals.h"

#include <mysql.h>

#include <atomic>
#include <cstdio>
#include <fstream>
#include <memory>
#include <thread>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/functional/function_ref.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"

#include "client/client.h"
#include "server/base/clock.h"
#include "server/base/status_macros.h"
#include "server/event/event_id.h"
#include "server/metrics/metrics.h"
#include "server/statement/batch.h"
#include "server/writer/lane_writer.h"
#include "tests/bench/workload.h"

namespace holdfast::bench {
namespace {

// Runs `body(index)` on as many threads and returns the time of all together, or the first failure.
absl::StatusOr<absl::Duration> TimeThreads(size_t count,
                                           absl::FunctionRef<absl::Status(size_t)> body) {
  absl::Mutex mu;
  absl::Status failure;
  const absl::Time begin = base::SystemClock().Steady();
  std::vector<std::thread> threads;
  for (size_t i = 0; i < count; ++i) {
    threads.emplace_back([&, i] {
      const absl::Status status = body(i);
      absl::MutexLock lock(&mu);
      failure.Update(status);
    });
  }
  for (std::thread& thread : threads) thread.join();
  const absl::Duration taken = base::SystemClock().Steady() - begin;
  if (!failure.ok()) return failure;
  return taken;
}

absl::Time RentDeadline() { return base::SystemClock().Steady() + absl::Seconds(30); }

absl::Status WriteBare(mysql::Session& session, const std::vector<event::Accepted>& events) {
  const auto batch =
      statement::Batch::Make(event::KindOf(*events.front().event), events, {.tag = 1});
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
  std::vector<LaneWork> work =
      MakeLaneWork(events, setting.connections, setting.rows, base::SystemClock().Now());
  return TimeThreads(work.size(), [&](size_t index) -> absl::Status {
    auto session = pool.Rent(RentDeadline());
    HOLDFAST_RETURN_IF_ERROR(session.status());
    for (const auto& batch : work[index].batches) {
      HOLDFAST_RETURN_IF_ERROR(WriteBare(**session, batch));
    }
    return absl::OkStatus();
  });
}

absl::StatusOr<absl::Duration> InProcess(const Setting& setting,
                                         const std::vector<v1::Event>& events) {
  metrics::Metrics metrics("bench");
  mysql::Pool pool(setting.database, base::SystemClock(), metrics);
  std::vector<LaneWork> work =
      MakeLaneWork(events, setting.connections, setting.rows, base::SystemClock().Now());
  writer::WriterOptions options;
  options.writer_id = event::FormatUuid(event::RandomUuid());
  options.journal_id = event::RandomUuid();
  options.rows_max = static_cast<int>(setting.rows);
  return TimeThreads(work.size(), [&](size_t index) -> absl::Status {
    writer::LaneWriter lane(options, work[index].lane, 0, pool, base::SystemClock(), metrics);
    HOLDFAST_RETURN_IF_ERROR(lane.Open());
    for (const auto& batch : work[index].batches) {
      const auto written = lane.Write(batch);
      HOLDFAST_RETURN_IF_ERROR(written.status());
      if (written->done != batch.size())
        return absl::InternalError("a batch was not written whole");
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
    files.push_back(absl::StrCat("/tmp/holdfast-bench-", getpid(), "-", first, ".tsv"));
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

absl::StatusOr<absl::Duration> EndToEnd(const Setting& setting,
                                        const std::vector<v1::Event>& events) {
  client::Options options;
  options.target = setting.target;
  options.ack_level = v1::ACK_LEVEL_COMMITTED;
  HOLDFAST_ASSIGN_OR_RETURN(const auto gateway, client::Client::Connect(options));
  HOLDFAST_RETURN_IF_ERROR(gateway->WaitOpened(absl::Seconds(30)).status());
  std::atomic<size_t> failed = 0;
  const absl::Time begin = base::SystemClock().Steady();
  for (const v1::Event& event : events) {
    HOLDFAST_RETURN_IF_ERROR(
        gateway->Send(event, absl::Minutes(5), [&failed](const absl::Status& status) {
          if (!status.ok()) ++failed;
        }));
  }
  HOLDFAST_RETURN_IF_ERROR(gateway->Flush(absl::Minutes(5)));
  const absl::Duration taken = base::SystemClock().Steady() - begin;
  HOLDFAST_RETURN_IF_ERROR(gateway->Close(absl::Seconds(30)));
  if (failed != 0) return absl::DataLossError(absl::StrCat(failed.load(), " events were refused"));
  return taken;
}

}  // namespace holdfast::bench
