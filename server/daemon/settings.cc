#include "server/daemon/settings.h"

#include <algorithm>
#include <array>
#include <string>

#include "absl/strings/str_cat.h"

#include "server/base/status_macros.h"
#include "server/daemon/values.h"

namespace holdfast::daemon {
namespace {

constexpr uint64_t kMiB = uint64_t{1} << 20;
constexpr uint64_t kTiB = uint64_t{1} << 40;
constexpr absl::Duration kDay = absl::Hours(24);

using absl::string_view;

constexpr char kGateways[] = "Gateways";
constexpr char kJournal[] = "Journal";
constexpr char kDatabase[] = "Database";
constexpr char kPool[] = "Connections to the database";
constexpr char kBreaker[] = "Circuit breaker towards the database";
constexpr char kWriting[] = "Writing";
constexpr char kOperation[] = "Operation";

absl::Status ApplyListen(string_view value, Config& config) {
  HOLDFAST_ASSIGN_OR_RETURN(config.server.gate.listen, gate::ParseListenAddress(value));
  return absl::OkStatus();
}

absl::Status ApplyAdminListen(string_view value, Config& config) {
  HOLDFAST_ASSIGN_OR_RETURN(config.http.listen, admin::ParseHttpAddress(value));
  return absl::OkStatus();
}

absl::Status ApplyStreamsMax(string_view value, Config& config) {
  int streams = 0;
  HOLDFAST_RETURN_IF_ERROR(ReadInteger(value, 1, 100000, &streams));
  config.server.ingest.calls.streams_max = static_cast<size_t>(streams);
  return absl::OkStatus();
}

absl::Status ApplyJournalDir(string_view value, Config& config) {
  HOLDFAST_RETURN_IF_ERROR(ReadPath(value, &config.journal_dir));
  return value.empty() ? absl::InvalidArgumentError("expected a folder") : absl::OkStatus();
}

absl::Status ApplyProducersMax(string_view value, Config& config) {
  int producers = 0;
  HOLDFAST_RETURN_IF_ERROR(ReadInteger(value, 1, 10000000, &producers));
  config.journal.producers_max = static_cast<size_t>(producers);
  return absl::OkStatus();
}

absl::Status ApplyMemory(string_view value, Config& config) {
  uint64_t bytes = 0;
  HOLDFAST_RETURN_IF_ERROR(ReadBytes(value, kMiB, kTiB, &bytes));
  config.pipeline.memory_bytes_max = bytes;
  return absl::OkStatus();
}

absl::Status ApplyLogLevel(string_view value, Config& config) {
  return base::ParseLogLevel(value, &config.log_level);
}

absl::Status ApplyLogFormat(string_view value, Config& config) {
  if (value == "auto") {
    config.log_format.reset();
  } else if (value == "text") {
    config.log_format = base::LogFormat::kText;
  } else if (value == "json") {
    config.log_format = base::LogFormat::kJson;
  } else {
    return absl::InvalidArgumentError(
        absl::StrCat("\"", value, "\" is not one of auto, text, json"));
  }
  return absl::OkStatus();
}

// In the order of --help. A group's settings stand together.
const std::array kSettings = {
    Setting{"HOLDFAST_LISTEN", kGateways, "unix:/run/holdfast/holdfast.sock",
            "Where gateways connect: unix:/path, 127.0.0.1:port, [::1]:port or localhost:port; "
            "with TLS "
            "any other address of this machine. Port 0 is any free one.",
            ApplyListen},
    Setting{"HOLDFAST_ALLOWED_UIDS", kGateways, "",
            "Users, by number and separated by commas, who may connect to the Unix socket, besides "
            "the daemon's own. Empty: all whom the socket's mode (0660) lets in.",
            [](string_view value, Config& config) {
              return ReadUids(value, &config.server.gate.admission.allowed_uids);
            }},
    Setting{"HOLDFAST_CONNECTIONS_MAX", kGateways, "256",
            "Connections of gateways at a time; each takes three file descriptors.",
            [](string_view value, Config& config) {
              return ReadInteger(value, 1, 100000, &config.server.gate.admission.connections_max);
            }},
    Setting{"HOLDFAST_PEER_CONNECTIONS_MAX", kGateways, "192",
            "Of those, the most of one user (Unix socket) or one address (TCP).",
            [](string_view value, Config& config) {
              return ReadInteger(value, 1, 100000,
                                 &config.server.gate.admission.peer_connections_max);
            }},
    Setting{"HOLDFAST_STREAMS_MAX", kGateways, "1024", "Streams of gateways at a time.",
            ApplyStreamsMax},
    Setting{"HOLDFAST_TLS_CERT_FILE", kGateways, "",
            "This daemon's certificate and what leads to its authority, PEM. With it, gateways "
            "connect by TLS and show certificates of their own. Changed files are taken up within "
            "a second.",
            [](string_view value, Config& config) {
              return ReadPath(value, &config.server.gate.tls.certificate_file);
            }},
    Setting{"HOLDFAST_TLS_KEY_FILE", kGateways, "", "The certificate's key, PEM.",
            [](string_view value, Config& config) {
              return ReadPath(value, &config.server.gate.tls.key_file);
            }},
    Setting{"HOLDFAST_TLS_CLIENT_CA_FILE", kGateways, "",
            "The authorities of the gateways' certificates, PEM.",
            [](string_view value, Config& config) {
              return ReadPath(value, &config.server.gate.tls.client_ca_file);
            }},
    Setting{"HOLDFAST_TLS_CLIENT_NAMES", kGateways, "",
            "DNS names or URIs, separated by commas, one of which a gateway's certificate must "
            "have. Empty: every certificate of those authorities will do.",
            [](string_view value, Config& config) {
              return ReadNames(value, &config.server.gate.tls.client_names);
            }},
    Setting{"RATE_LIMIT_MYSQL_ENABLED", kGateways, "true",
            "Whether rate-limit events are stored. If not, each is refused with that reason.",
            [](string_view value, Config& config) {
              return ReadBool(value, &config.server.ingest.take_rate_limits);
            },
            true},
    Setting{
        "RATE_LIMIT_MYSQL_ASYNC", kGateways, "true",
        "The acknowledgement for gateways that ask for none: true, when an event is on the local "
        "disk (JOURNALED); false, when it is in the database (COMMITTED).",
        [](string_view value, Config& config) {
          return ReadBool(value, &config.ack_when_journaled);
        },
        true},
    Setting{"RATE_LIMIT_HASH_API_KEYS", kGateways, "false",
            "Store identifiers of the form api_key:... by their SHA-256.",
            [](string_view value, Config& config) {
              return ReadBool(value, &config.pipeline.writer.hash_api_keys);
            },
            true},

    Setting{"HOLDFAST_JOURNAL_DIR", kJournal, "/var/lib/holdfast/journal",
            "The journal's folder, of this daemon alone, on a volume that outlives the process.",
            ApplyJournalDir},
    Setting{"HOLDFAST_JOURNAL_MAX_BYTES", kJournal, "2GiB",
            "The journal's size on the disk, delivered segments included. Full, it refuses events.",
            [](string_view value, Config& config) {
              return ReadBytes(value, 2 * kMiB, 64 * kTiB, &config.journal.bytes_max);
            }},
    Setting{"HOLDFAST_JOURNAL_SEGMENT_BYTES", kJournal, "64MiB",
            "The size of one of its files. Smaller gives disk space back sooner; under 16MiB, the "
            "largest batches that the contract allows are refused: none may take half a file.",
            [](string_view value, Config& config) {
              return ReadBytes(value, kMiB, kTiB, &config.journal.segment_bytes);
            }},
    Setting{"HOLDFAST_JOURNAL_RETENTION", kJournal, "15m",
            "How long delivered segments are kept, to repeat them if the database loses its last "
            "commits in a failover. While it does not answer no time passes for them.",
            [](string_view value, Config& config) {
              return ReadDuration(value, absl::ZeroDuration(), 30 * kDay,
                                  &config.journal.retention);
            }},
    Setting{"HOLDFAST_JOURNAL_RETENTION_BYTES", kJournal, "256MiB",
            "At most so much is kept for that.",
            [](string_view value, Config& config) {
              return ReadBytes(value, 0, kTiB, &config.journal.retention_bytes);
            }},

    Setting{
        "HOLDFAST_PRODUCERS_MAX", kJournal, "10000",
        "Senders whose last sequence is remembered; beyond it the longest silent are forgotten.",
        ApplyProducersMax},

    Setting{"MYSQL_HOST", kDatabase, "127.0.0.1",
            "The server: host or host:port; several, separated by commas, are tried in order, and "
            "the first that can be written to is used.",
            [](string_view value, Config& config) { return ReadHosts(value, &config.hosts); }},
    Setting{"MYSQL_PORT", kDatabase, "3306", "For hosts without a port of their own.",
            [](string_view value, Config& config) {
              return ReadInteger(value, 1, 65535, &config.port);
            }},
    Setting{"MYSQL_SOCKET", kDatabase, "",
            "The server's Unix socket. Used instead of MYSQL_HOST's default, or before the hosts "
            "that are given.",
            [](string_view value, Config& config) { return ReadPath(value, &config.socket); }},
    Setting{"MYSQL_DATABASE", kDatabase, "gateway_db", "The database's name.",
            [](string_view value, Config& config) {
              return ReadText(value, 64, &config.database.database);
            }},
    Setting{"MYSQL_USER", kDatabase, "root",
            "The account: SELECT, INSERT and UPDATE on the tables, DELETE where rows expire.",
            [](string_view value, Config& config) {
              return ReadText(value, 128, &config.database.user);
            }},
    Setting{"MYSQL_PASSWORD", kDatabase, "", "Its password. A file is safer.",
            [](string_view value, Config& config) {
              return ReadText(value, 4096, &config.database.password);
            },
            false, true},
    Setting{"MYSQL_PASSWORD_FILE", kDatabase, "",
            "A file with its password, read again for every new connection.",
            [](string_view value, Config& config) {
              return ReadPath(value, &config.database.password_file);
            }},
    Setting{"MYSQL_SSL_MODE", kDatabase, "preferred",
            "disabled, preferred, required, verify_ca or verify_identity.",
            [](string_view value, Config& config) {
              return ReadSslMode(value, &config.database.ssl_mode);
            }},
    Setting{
        "MYSQL_SSL_CA", kDatabase, "",
        "A file with the certificates of the authorities to trust, for the verify_ modes.",
        [](string_view value, Config& config) { return ReadPath(value, &config.database.ssl_ca); }},
    Setting{"DB_ISOLATION_LEVEL", kDatabase, "READ COMMITTED",
            "READ COMMITTED (fewest lock waits), REPEATABLE READ or SERIALIZABLE.",
            [](string_view value, Config& config) {
              return ReadText(value, 32, &config.database.isolation_level);
            }},
    Setting{"DB_USE_BULK", kDatabase, "true",
            "Bind many rows to one statement where the server can (MariaDB).",
            [](string_view value, Config& config) {
              return ReadBool(value, &config.database.use_bulk);
            },
            true},

    Setting{"DB_POOL_SIZE", kPool, "10", "Connections that are kept open.",
            [](string_view value, Config& config) {
              return ReadInteger(value, 1, 1000, &config.database.pool_size);
            }},
    Setting{"DB_MAX_OVERFLOW", kPool, "5", "Opened beyond them when all are out.",
            [](string_view value, Config& config) {
              return ReadInteger(value, 0, 1000, &config.database.max_overflow);
            }},
    Setting{"DB_POOL_TIMEOUT", kPool, "30s", "How long to wait for a free one.",
            [](string_view value, Config& config) {
              return ReadDuration(value, absl::Milliseconds(1), kDay,
                                  &config.database.pool_timeout);
            }},
    Setting{"DB_POOL_RECYCLE", kPool, "1h", "The age at which one is replaced.",
            [](string_view value, Config& config) {
              return ReadDuration(value, absl::Seconds(1), 30 * kDay,
                                  &config.database.pool_recycle);
            }},
    Setting{"DB_POOL_PRE_PING_AFTER", kPool, "10s",
            "Unused for so long, one is tried before it is lent.",
            [](string_view value, Config& config) {
              return ReadDuration(value, absl::ZeroDuration(), kDay,
                                  &config.database.pre_ping_after);
            }},
    Setting{"DB_HELD_TOO_LONG", kPool, "60s", "Lent for longer, one is reported.",
            [](string_view value, Config& config) {
              return ReadDuration(value, absl::Seconds(1), kDay, &config.database.held_too_long);
            }},
    Setting{"DB_CONNECT_TIMEOUT", kPool, "5s", "How long connecting may take.",
            [](string_view value, Config& config) {
              return ReadDuration(value, absl::Milliseconds(1), kDay,
                                  &config.database.connect_timeout);
            }},
    Setting{"DB_QUERY_TIMEOUT", kPool, "30s", "How long a statement may take.",
            [](string_view value, Config& config) {
              return ReadDuration(value, absl::Seconds(1), kDay, &config.database.query_timeout);
            }},
    Setting{"DB_LOCK_WAIT_TIMEOUT", kPool, "5s", "How long a statement may wait for a row's lock.",
            [](string_view value, Config& config) {
              return ReadDuration(value, absl::Seconds(1), kDay,
                                  &config.database.lock_wait_timeout);
            }},
    Setting{"DB_IDLE_TIMEOUT", kPool, "60s",
            "When the server ends a session that it no longer hears of.",
            [](string_view value, Config& config) {
              return ReadDuration(value, absl::Seconds(1), kDay, &config.database.idle_timeout);
            }},
    Setting{"DB_SLOW_STATEMENT", kPool, "1s",
            "A statement, or a batch, that takes longer is reported.",
            [](string_view value, Config& config) {
              HOLDFAST_RETURN_IF_ERROR(ReadDuration(value, absl::Milliseconds(1), kDay,
                                                    &config.database.slow_statement));
              config.pipeline.slow_batch = config.database.slow_statement;
              return absl::OkStatus();
            }},

    Setting{"DB_BREAKER_FAILURE_THRESHOLD", kBreaker, "5",
            "Failures to connect within the window that open it.",
            [](string_view value, Config& config) {
              return ReadInteger(value, 1, 1000, &config.database.breaker.failure_threshold);
            }},
    Setting{"DB_BREAKER_MIN_THROUGHPUT", kBreaker, "5",
            "Fewer attempts than this within the window never open it.",
            [](string_view value, Config& config) {
              return ReadInteger(value, 1, 1000, &config.database.breaker.min_throughput);
            }},
    Setting{"DB_BREAKER_FAILURE_WINDOW", kBreaker, "120s", "How far back failures count.",
            [](string_view value, Config& config) {
              return ReadDuration(value, absl::Seconds(1), kDay,
                                  &config.database.breaker.failure_window);
            }},
    Setting{"DB_BREAKER_RECOVERY_TIMEOUT", kBreaker, "2s",
            "How long it stays open before one attempt is let through.",
            [](string_view value, Config& config) {
              return ReadDuration(value, absl::Milliseconds(1), kDay,
                                  &config.database.breaker.recovery_timeout);
            }},
    Setting{"DB_BREAKER_HALF_OPEN_TIMEOUT", kBreaker, "30s",
            "How long that attempt may be out before another one is let through.",
            [](string_view value, Config& config) {
              return ReadDuration(value, absl::Milliseconds(1), kDay,
                                  &config.database.breaker.half_open_timeout);
            }},

    Setting{
        "HOLDFAST_WRITER_ID", kWriting, "",
        "The name under which this daemon writes to the database: its own, and the same after a "
        "restart. Empty: the journal's id.",
        [](string_view value, Config& config) {
          return ReadText(value, 64, &config.pipeline.writer.writer_id);
        }},
    Setting{
        "HOLDFAST_LANES_PER_KIND", kWriting, "2",
        "Transactions at a time for each kind of event. All of them should find a connection in "
        "the pool.",
        [](string_view value, Config& config) {
          return ReadInteger(value, 1, event::kLanesPerKindMax, &config.pipeline.lanes_per_kind);
        }},
    Setting{"HOLDFAST_BATCH_ROWS_MAX", kWriting, "4096",
            "The most events in one transaction. More: fewer commits, longer locks.",
            [](string_view value, Config& config) {
              return ReadInteger(value, 1, 65536, &config.pipeline.writer.rows_max);
            }},
    Setting{"HOLDFAST_MEMORY_MAX_BYTES", kWriting, "32MiB",
            "Events in memory on their way to the database; beyond it they are read from the "
            "journal.",
            ApplyMemory},
    Setting{"HOLDFAST_LANE_LOOK_EVERY", kWriting, "30s",
            "How often a lane without events looks whether the database still has what it wrote: a "
            "failover may have lost it. Less than HOLDFAST_JOURNAL_RETENTION.",
            [](string_view value, Config& config) {
              return ReadDuration(value, absl::Seconds(1), kDay, &config.pipeline.look_every);
            }},
    Setting{
        "STATS_UTC_OFFSET", kWriting, "+00:00",
        "Where hours and days of the statistics begin, as in +08:00. Once there are statistics it "
        "must stay.",
        [](string_view value, Config& config) {
          return ReadUtcOffset(value, &config.pipeline.writer.stats_utc_offset);
        }},

    Setting{"HOLDFAST_ADMIN_LISTEN", kOperation, "0.0.0.0:9464",
            "Where metrics and health are served over HTTP; port 0 is any free one.",
            ApplyAdminListen},
    Setting{
        "HOLDFAST_DRAIN_TIMEOUT", kOperation, "25s",
        "How long an orderly end may take; less than the pod's grace period. What is not written "
        "by then stays in the journal.",
        [](string_view value, Config& config) {
          return ReadDuration(value, absl::ZeroDuration(), kDay, &config.drain_timeout);
        }},
    Setting{
        "HOLDFAST_ALLOW_CORE_DUMPS", kOperation, "false",
        "Allow core dumps and debuggers. They can see events and the password.",
        [](string_view value, Config& config) { return ReadBool(value, &config.allow_core_dumps); },
        true},
    Setting{"LOG_LEVEL", kOperation, "info", "debug, info, warning or error.", ApplyLogLevel},
    Setting{"HOLDFAST_LOG_FORMAT", kOperation, "auto",
            "text, json, or auto: json in a pod of Kubernetes, text elsewhere and on a terminal.",
            ApplyLogFormat},
    Setting{"DEBUG", kOperation, "false", "true: LOG_LEVEL is debug, unless it is given.",
            [](string_view value, Config& config) { return ReadBool(value, &config.debug); }, true},
};

}  // namespace

absl::Span<const Setting> Settings() { return kSettings; }

const Setting* FindSetting(absl::string_view name) {
  const auto found = std::find_if(kSettings.begin(), kSettings.end(),
                                  [name](const Setting& setting) { return setting.name == name; });
  return found == kSettings.end() ? nullptr : &*found;
}

}  // namespace holdfast::daemon
