#include "server/mysql/error_table.h"

#include <algorithm>
#include <iterator>

namespace holdfast::mysql {
namespace {

using flow::Verdict;

constexpr const char* kMigrate = "run holdfastd --migrate, or see what changed the schema";
constexpr const char* kNoRoom = "free or add disk space on the database server";
constexpr const char* kFewer = "raise the server's limit, or lower DB_POOL_SIZE";
constexpr const char* kLogin = "check MYSQL_USER and MYSQL_PASSWORD (or its file)";
constexpr const char* kReachable = "check MYSQL_HOST, MYSQL_PORT or MYSQL_SOCKET, and the server";

// Sorted by number.
constexpr KnownError kKnown[] = {
    {1020, Verdict::kRetry, "the row changed since it was read", ""},
    {1021, Verdict::kOutage, "the server's disk is full", kNoRoom},
    {1037, Verdict::kThrottle, "the server is out of memory", ""},
    {1038, Verdict::kThrottle, "the server is out of sort memory", ""},
    {1040, Verdict::kThrottle, "the server has too many connections", kFewer},
    {1041, Verdict::kThrottle, "the server is out of resources", ""},
    {1044, Verdict::kOutage, "the account may not use this database",
     "grant it, or check MYSQL_DATABASE"},
    {1045, Verdict::kOutage, "access denied", kLogin},
    {1047, Verdict::kElsewhere, "this node takes no statements (not in the primary component)", ""},
    {1048, Verdict::kReject, "a column that must have a value got none", ""},
    {1049, Verdict::kOutage, "the database does not exist",
     "run holdfastd --migrate, or check MYSQL_DATABASE"},
    {1053, Verdict::kReconnect, "the server is shutting down", ""},
    {1054, Verdict::kOutage, "a column is missing", kMigrate},
    {1062, Verdict::kReject, "a unique key other than the expected one is taken", ""},
    {1064, Verdict::kOutage, "the server does not understand the statement",
     "check that it is MySQL 5.7 or MariaDB 10.3, or newer"},
    {1114, Verdict::kOutage, "the table or the server's disk is full", kNoRoom},
    {1129, Verdict::kOutage, "the server blocks this host after too many failed connections",
     "run FLUSH HOSTS on it once the cause is mended"},
    {1130, Verdict::kOutage, "the server does not accept this host",
     "create the account for this host"},
    {1135, Verdict::kThrottle, "the server cannot start another thread", kFewer},
    {1142, Verdict::kOutage, "the account lacks a privilege on a table",
     "grant SELECT, INSERT and UPDATE (and DELETE on holdfast tables)"},
    {1143, Verdict::kOutage, "the account lacks a privilege on a column", "grant it"},
    {1146, Verdict::kOutage, "a table is missing", kMigrate},
    {1152, Verdict::kReconnect, "the server ended the connection", ""},
    {1153, Verdict::kReject, "the statement is larger than the server takes",
     "raise max_allowed_packet"},
    {1158, Verdict::kReconnect, "the server could not read from the network", ""},
    {1159, Verdict::kReconnect, "the server timed out while reading from the network", ""},
    {1160, Verdict::kReconnect, "the server could not write to the network", ""},
    {1161, Verdict::kReconnect, "the server timed out while writing to the network", ""},
    {1180, Verdict::kRetry, "COMMIT failed", ""},
    {1184, Verdict::kReconnect, "the server ended a new connection", ""},
    {1203, Verdict::kThrottle, "the account has too many connections", kFewer},
    {1205, Verdict::kRetry, "a lock was not given within innodb_lock_wait_timeout", ""},
    {1206, Verdict::kThrottle, "the server has no room for more locks",
     "raise innodb_buffer_pool_size"},
    {1213, Verdict::kRetry, "deadlock with another transaction", ""},
    {1226, Verdict::kThrottle, "the account has used up a resource limit",
     "raise the account's limits"},
    {1227, Verdict::kOutage, "the account lacks an administrative privilege", "grant it"},
    {1243, Verdict::kReconnect, "the server does not know the prepared statement", ""},
    {1264, Verdict::kReject, "a number is out of its column's range", ""},
    {1265, Verdict::kReject, "a value does not fit its column", ""},
    {1290, Verdict::kElsewhere, "the server is read-only", ""},
    {1292, Verdict::kReject, "a value is not a valid one of its column's type", ""},
    {1300, Verdict::kReject, "a text is not valid in its character set", ""},
    {1317, Verdict::kRetry, "the statement was interrupted", ""},
    {1364, Verdict::kOutage, "a column without a default is not among ours",
     "give it a default, or make it nullable"},
    {1366, Verdict::kReject, "a value is not a valid one of its column's type", ""},
    {1406, Verdict::kReject, "a value is too long for its column", ""},
    {1412, Verdict::kRetry, "the table's definition changed", ""},
    {1452, Verdict::kReject, "a row that this one refers to does not exist", ""},
    {1461, Verdict::kThrottle, "the server has too many prepared statements",
     "raise max_prepared_stmt_count"},
    {1614, Verdict::kRetry, "the transaction was rolled back", ""},
    {1615, Verdict::kRetry, "the statement has to be prepared again", ""},
    {1637, Verdict::kThrottle, "the server has too many transactions", ""},
    {1689, Verdict::kRetry, "the wait for a lock was ended", ""},
    {1690, Verdict::kReject, "a sum is out of its column's range", ""},
    {1698, Verdict::kOutage, "access denied", kLogin},
    {1792, Verdict::kElsewhere, "the transaction is read-only", ""},
    {1820, Verdict::kOutage, "the account's password must be changed first", kLogin},
    {1836, Verdict::kElsewhere, "the server is in read-only mode", ""},
    {1862, Verdict::kOutage, "the account's password has expired", kLogin},
    {1874, Verdict::kElsewhere, "InnoDB is read-only on this server", ""},
    {1927, Verdict::kReconnect, "the connection was killed", ""},
    {1969, Verdict::kRetry, "the statement took longer than DB_QUERY_TIMEOUT", ""},
    {2002, Verdict::kReconnect, "the server cannot be reached", kReachable},
    {2003, Verdict::kReconnect, "the server cannot be reached", kReachable},
    {2005, Verdict::kReconnect, "the server's name cannot be resolved", kReachable},
    {2006, Verdict::kReconnect, "the connection is gone", ""},
    {2012, Verdict::kReconnect, "the server closed the connection during the handshake", ""},
    {2013, Verdict::kReconnect, "the connection broke, or the answer took too long", ""},
    {2026, Verdict::kReconnect, "TLS failed",
     "check MYSQL_SSL_MODE, MYSQL_SSL_CA and the server's certificate"},
    {2055, Verdict::kReconnect, "the connection broke", ""},
    {2058, Verdict::kOutage, "the authentication plugin cannot be loaded",
     "install the client library's plugin files"},
    {2059, Verdict::kOutage, "the authentication plugin cannot be loaded",
     "install the client library's plugin files"},
    {3024, Verdict::kRetry, "the statement took longer than DB_QUERY_TIMEOUT", ""},
    {3101, Verdict::kRetry, "the cluster rolled the transaction back", ""},
    {3118, Verdict::kOutage, "the account is locked", "unlock it"},
    {3140, Verdict::kReject, "a text is not valid JSON", ""},
    {3169, Verdict::kReconnect, "the session was killed", ""},
    {3819, Verdict::kReject, "a CHECK constraint is violated", ""},
    {3854, Verdict::kReject, "a text is not valid in its character set", ""},
    {3948, Verdict::kOutage, "loading local data is disabled", ""},
    {4025, Verdict::kReject, "a CHECK constraint is violated", ""},
    {4031, Verdict::kReconnect, "the server closed the idle connection", ""},
    {4151, Verdict::kOutage, "the account is locked", "unlock it"},
};

constexpr bool IsSorted() {
  for (size_t i = 1; i < std::size(kKnown); ++i) {
    if (kKnown[i - 1].error_number >= kKnown[i].error_number) return false;
  }
  return true;
}
static_assert(IsSorted(), "looked up by binary search");

}  // namespace

const KnownError* FindKnownError(unsigned error_number) {
  const auto* end = std::end(kKnown);
  const auto* found = std::lower_bound(
      std::begin(kKnown), end, error_number,
      [](const KnownError& known, unsigned number) { return known.error_number < number; });
  return found != end && found->error_number == error_number ? found : nullptr;
}

}  // namespace holdfast::mysql
