#include "server/daemon/config.h"

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "server/daemon/settings.h"
#include "tests/support/status_matchers.h"

namespace holdfast::daemon {
namespace {

using test::StatusIs;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

constexpr auto kWrong = absl::StatusCode::kInvalidArgument;
constexpr auto kUsage = absl::StatusCode::kNotFound;

std::string FlagOf(absl::string_view name) {
  return absl::StrCat("--", absl::AsciiStrToLower(name));
}

TEST(ConfigTest, TheDefaultsAreAConfiguration) {
  const auto reading = ReadConfig({}, {});
  ASSERT_OK(reading);
  const Config& config = reading->config;
  EXPECT_EQ(reading->command, Command::kServe);
  EXPECT_THAT(reading->warnings, IsEmpty());
  EXPECT_EQ(config.server.gate.listen.ToString(), "unix:/run/holdfast/holdfast.sock");
  EXPECT_EQ(config.http.listen.ToString(), "0.0.0.0:9464");
  EXPECT_EQ(config.server.ingest.default_ack_level, v1::ACK_LEVEL_JOURNALED);
  EXPECT_EQ(config.drain_timeout, absl::Seconds(25));
  ASSERT_EQ(config.database.endpoints.size(), 1);
  EXPECT_EQ(config.database.endpoints[0].ToString(), "127.0.0.1:3306");
}

// The options structs have defaults too, for whoever builds them without settings: both must agree.
TEST(ConfigTest, TheDefaultsAreThoseOfTheRooms) {
  const auto reading = ReadConfig({}, {});
  ASSERT_OK(reading);
  const Config& config = reading->config;
  const journal::JournalOptions journal;
  EXPECT_EQ(config.journal.bytes_max, journal.bytes_max);
  EXPECT_EQ(config.journal.segment_bytes, journal.segment_bytes);
  EXPECT_EQ(config.journal.retention, journal.retention);
  EXPECT_EQ(config.journal.retention_bytes, journal.retention_bytes);
  EXPECT_EQ(config.journal.producers_max, journal.producers_max);
  const mysql::DatabaseOptions database;
  EXPECT_EQ(config.database.database, database.database);
  EXPECT_EQ(config.database.user, database.user);
  EXPECT_EQ(config.database.ssl_mode, database.ssl_mode);
  EXPECT_EQ(config.database.pool_size, database.pool_size);
  EXPECT_EQ(config.database.max_overflow, database.max_overflow);
  EXPECT_EQ(config.database.pool_timeout, database.pool_timeout);
  EXPECT_EQ(config.database.pool_recycle, database.pool_recycle);
  EXPECT_EQ(config.database.pre_ping_after, database.pre_ping_after);
  EXPECT_EQ(config.database.held_too_long, database.held_too_long);
  EXPECT_EQ(config.database.connect_timeout, database.connect_timeout);
  EXPECT_EQ(config.database.query_timeout, database.query_timeout);
  EXPECT_EQ(config.database.lock_wait_timeout, database.lock_wait_timeout);
  EXPECT_EQ(config.database.idle_timeout, database.idle_timeout);
  EXPECT_EQ(config.database.slow_statement, database.slow_statement);
  EXPECT_EQ(config.database.isolation_level, database.isolation_level);
  EXPECT_EQ(config.database.use_bulk, database.use_bulk);
  EXPECT_EQ(config.database.breaker.failure_threshold, database.breaker.failure_threshold);
  EXPECT_EQ(config.database.breaker.min_throughput, database.breaker.min_throughput);
  EXPECT_EQ(config.database.breaker.failure_window, database.breaker.failure_window);
  EXPECT_EQ(config.database.breaker.recovery_timeout, database.breaker.recovery_timeout);
  EXPECT_EQ(config.database.breaker.half_open_timeout, database.breaker.half_open_timeout);
  const pipeline::PipelineOptions pipeline;
  EXPECT_EQ(config.pipeline.lanes_per_kind, pipeline.lanes_per_kind);
  EXPECT_EQ(config.pipeline.memory_bytes_max, pipeline.memory_bytes_max);
  EXPECT_EQ(config.pipeline.slow_batch, pipeline.slow_batch);
  EXPECT_EQ(config.pipeline.writer.rows_max, pipeline.writer.rows_max);
  EXPECT_EQ(config.pipeline.writer.stats_utc_offset, pipeline.writer.stats_utc_offset);
  EXPECT_EQ(config.pipeline.writer.hash_api_keys, pipeline.writer.hash_api_keys);
  const ingress::ServerOptions server;
  EXPECT_EQ(config.server.gate.admission.connections_max, server.gate.admission.connections_max);
  EXPECT_EQ(config.server.gate.admission.peer_connections_max,
            server.gate.admission.peer_connections_max);
  EXPECT_EQ(config.server.ingest.calls.streams_max, server.ingest.calls.streams_max);
  EXPECT_EQ(config.server.ingest.take_rate_limits, server.ingest.take_rate_limits);
}

TEST(ConfigTest, AFlagWinsOverTheEnvironmentAndThatOverTheDefault) {
  EXPECT_EQ(ReadConfig({}, {})->config.database.pool_size, 10);
  EXPECT_EQ(ReadConfig({}, {{"DB_POOL_SIZE", "11"}})->config.database.pool_size, 11);
  EXPECT_EQ(ReadConfig({"--db_pool_size=12"}, {{"DB_POOL_SIZE", "11"}})->config.database.pool_size,
            12);
  EXPECT_EQ(ReadConfig({"--db_pool_size", "13"}, {})->config.database.pool_size, 13);
}

TEST(ConfigTest, AnEmptyVariableIsNotSet) {
  EXPECT_EQ(ReadConfig({}, {{"DB_POOL_SIZE", ""}})->config.database.pool_size, 10);
}

TEST(ConfigTest, ASwitchMayStandAlone) {
  EXPECT_TRUE(ReadConfig({"--rate_limit_hash_api_keys"}, {})->config.pipeline.writer.hash_api_keys);
  EXPECT_FALSE(ReadConfig({"--rate_limit_mysql_enabled=false", "--db_use_bulk"}, {})
                   ->config.server.ingest.take_rate_limits);
}

// For every setting that is not free text: a value that cannot be is an error that names it.
class EverySettingTest : public testing::TestWithParam<std::string> {};

TEST_P(EverySettingTest, ABadValueNamesItselfAndTheSetting) {
  const std::string& name = GetParam();
  const std::string bad = "\x01not-a-value\xff";
  EXPECT_THAT(ReadConfig({}, {{name, bad}}),
              StatusIs(kWrong, AllOf(HasSubstr(absl::StrCat(name, ": ")),
                                     HasSubstr("(environment) will not do: "))));
  EXPECT_THAT(ReadConfig({absl::StrCat(FlagOf(name), "=", bad)}, {}),
              StatusIs(kWrong, AllOf(HasSubstr(absl::StrCat(name, ": ")),
                                     HasSubstr("(flag) will not do: "))));
}

TEST_P(EverySettingTest, IsListedInTheHelpAndInTheEffectiveSettings) {
  EXPECT_THAT(HelpText(), HasSubstr(absl::StrCat("\n  ", GetParam())));
  EXPECT_THAT(DescribeSettings(*ReadConfig({}, {})), HasSubstr(GetParam()));
}

std::vector<std::string> AllNames() {
  std::vector<std::string> names;
  for (const Setting& setting : Settings()) names.emplace_back(setting.name);
  return names;
}

std::string NameOf(const testing::TestParamInfo<std::string>& info) { return info.param; }

INSTANTIATE_TEST_SUITE_P(ConfigTest, EverySettingTest, testing::ValuesIn(AllNames()), NameOf);

TEST(ConfigTest, AllBadValuesAreToldAtOnce) {
  EXPECT_THAT(ReadConfig({"--db_pool_size=0"}, {{"MYSQL_PORT", "x"}}),
              StatusIs(kWrong, AllOf(HasSubstr("DB_POOL_SIZE: \"0\" (flag)"),
                                     HasSubstr("MYSQL_PORT: \"x\" (environment)"))));
}

TEST(ConfigTest, ASecretIsNeverShown) {
  const std::string secret = "hunter2";
  const auto reading = ReadConfig({}, {{"MYSQL_PASSWORD", secret}});
  ASSERT_OK(reading);
  EXPECT_EQ(reading->config.database.password, secret);
  EXPECT_THAT(DescribeSettings(*reading), AllOf(Not(HasSubstr(secret)), HasSubstr("********")));
  EXPECT_THAT(ReadConfig({}, {{"MYSQL_PASSWORD", secret + "\n"}}),
              StatusIs(kWrong, AllOf(HasSubstr("MYSQL_PASSWORD: the secret value"),
                                     Not(HasSubstr(secret)))));
  // An error elsewhere does not show it either.
  EXPECT_THAT(ReadConfig({"--db_pool_size=0"}, {{"MYSQL_PASSWORD", secret}}),
              StatusIs(kWrong, Not(HasSubstr(secret))));
}

TEST(ConfigTest, ASecretOnTheCommandLineIsWarnedOf) {
  const auto reading = ReadConfig({"--mysql_password=x"}, {});
  EXPECT_THAT(reading->warnings,
              ElementsAre(HasSubstr("MYSQL_PASSWORD: everyone on this machine")));
}

TEST(ConfigTest, APasswordAndItsFileExcludeEachOther) {
  EXPECT_THAT(ReadConfig({}, {{"MYSQL_PASSWORD", "x"}, {"MYSQL_PASSWORD_FILE", "/run/secret"}}),
              StatusIs(kWrong, HasSubstr("MYSQL_PASSWORD_FILE")));
  EXPECT_EQ(ReadConfig({}, {{"MYSQL_PASSWORD_FILE", "/run/secret"}})->config.database.password_file,
            "/run/secret");
}

TEST(ConfigTest, ValuesThatDoNotGoTogetherNameTheSetting) {
  EXPECT_THAT(ReadConfig({"--db_lock_wait_timeout=60s"}, {}),
              StatusIs(kWrong, AllOf(HasSubstr("DB_QUERY_TIMEOUT: "), HasSubstr("1m"))));
  EXPECT_THAT(ReadConfig({"--db_query_timeout=2s"}, {}),
              StatusIs(kWrong, AllOf(HasSubstr("DB_QUERY_TIMEOUT: "), HasSubstr("2s"))));
  EXPECT_THAT(ReadConfig({"--mysql_ssl_mode=verify_ca"}, {}),
              StatusIs(kWrong, HasSubstr("MYSQL_SSL_CA: ")));
  EXPECT_THAT(ReadConfig({"--db_isolation_level=READ UNCOMMITTED"}, {}),
              StatusIs(kWrong, HasSubstr("DB_ISOLATION_LEVEL: ")));
}

TEST(ConfigTest, AnUnknownFlagIsAUsageErrorWithAGuess) {
  EXPECT_THAT(ReadConfig({"--db_pool_sise=3"}, {}),
              StatusIs(kUsage, HasSubstr("did you mean --db_pool_size?")));
  EXPECT_THAT(ReadConfig({"--DB_POOL_SIZE=3"}, {}), StatusIs(kUsage, HasSubstr("no such flag")));
  EXPECT_THAT(ReadConfig({"--chek_config"}, {}),
              StatusIs(kUsage, HasSubstr("did you mean --check_config?")));
  EXPECT_THAT(ReadConfig({"serve"}, {}), StatusIs(kUsage, HasSubstr("\"serve\"")));
  EXPECT_THAT(ReadConfig({"-v"}, {}), StatusIs(kUsage, HasSubstr("\"-v\"")));
  EXPECT_THAT(ReadConfig({"--"}, {}), StatusIs(kUsage, HasSubstr("\"--\"")));
  EXPECT_THAT(ReadConfig({"--mysql_host"}, {}), StatusIs(kUsage, HasSubstr("needs a value")));
  EXPECT_THAT(ReadConfig({"--debug", "--debug"}, {}), StatusIs(kUsage, HasSubstr("given twice")));
  EXPECT_THAT(ReadConfig({"--help=1"}, {}), StatusIs(kUsage, HasSubstr("takes no value")));
  EXPECT_THAT(ReadConfig({"--migrate", "--diagnose"}, {}), StatusIs(kUsage, HasSubstr("alone")));
  EXPECT_THAT(ReadConfig({"--migrate", "--check_config"}, {}),
              StatusIs(kUsage, HasSubstr("stands alone")));
}

TEST(ConfigTest, AnInspectionHasItsOwnFlagsBehindTwoDashes) {
  const auto reading = ReadConfig(
      {"--inspect_journal=export", "--holdfast_journal_dir=/j", "--", "--kind=usage"}, {});
  ASSERT_OK(reading);
  EXPECT_EQ(reading->command, Command::kInspectJournal);
  EXPECT_EQ(reading->config.journal_dir, "/j");
  EXPECT_EQ(reading->inspection.what, inspect::Request::What::kExport);
  EXPECT_EQ(reading->inspection.selection.kind, event::Kind::kUsage);
  EXPECT_THAT(ReadConfig({"--inspect_journal"}, {}), StatusIs(kUsage, HasSubstr("takes a value")));
  EXPECT_THAT(ReadConfig({"--inspect_journal=rm"}, {}),
              StatusIs(kUsage, HasSubstr("ls, verify or export")));
  EXPECT_THAT(ReadConfig({"--inspect_journal=ls", "--", "--kind=usage"}, {}),
              StatusIs(kUsage, HasSubstr("--kind")));
  EXPECT_THAT(ReadConfig({"--migrate", "--inspect_journal=ls"}, {}),
              StatusIs(kUsage, HasSubstr("stands alone")));
  EXPECT_THAT(ReadConfig({"--", "--kind=usage"}, {}), StatusIs(kUsage, HasSubstr("a flag")));
}

TEST(ConfigTest, AMisspelledVariableOfOursIsAnErrorWithAGuess) {
  EXPECT_THAT(ReadConfig({}, {{"HOLDFAST_LISTN", "unix:/a"}}),
              StatusIs(kWrong, HasSubstr("HOLDFAST_LISTN: there is no such setting; did you mean "
                                         "HOLDFAST_LISTEN?")));
  EXPECT_THAT(ReadConfig({}, {{"DB_NAME", "x"}}), StatusIs(kWrong, HasSubstr("DB_NAME")));
  EXPECT_THAT(ReadConfig({}, {{"RATE_LIMIT_MYSQL_ASINC", "x"}}),
              StatusIs(kWrong, HasSubstr("RATE_LIMIT_MYSQL_ASYNC?")));
}

TEST(ConfigTest, ForeignVariablesAreLeftAlone) {
  const auto reading = ReadConfig({}, {{"PATH", "/bin"},
                                       {"RATE_LIMIT_PER_MINUTE", "100"},
                                       {"LOG_LEVEL_OF_ANOTHER", "x"},
                                       {"MYSQL_ROOT_PASSWORD", "x"}});
  ASSERT_OK(reading);
  EXPECT_THAT(reading->warnings, ElementsAre(HasSubstr("MYSQL_ROOT_PASSWORD")));
}

TEST(ConfigTest, TheToolsVariablesAreNoMistakeInADaemonsEnvironment) {
  const auto reading = ReadConfig({}, {{"HOLDFAST_TLS_CA_FILE", "/ca"},
                                       {"HOLDFAST_TLS_CLIENT_CERT_FILE", "/cert"},
                                       {"HOLDFAST_TLS_CLIENT_KEY_FILE", "/key"},
                                       {"HOLDFAST_TLS_SERVER_NAME", "holdfast"}});
  ASSERT_OK(reading);
  EXPECT_THAT(reading->warnings, IsEmpty());
}

TEST(ConfigTest, WhatKubernetesTellsOfServicesIsNoMistakeOfOurs) {
  const auto reading = ReadConfig({}, {{"DB_SERVICE_HOST", "10.0.0.1"},
                                       {"DB_SERVICE_PORT_MYSQL", "3306"},
                                       {"DB_PORT", "tcp://10.0.0.1:3306"},
                                       {"DB_PORT_3306_TCP_ADDR", "10.0.0.1"},
                                       {"HOLDFAST_METRICS_SERVICE_HOST", "10.0.0.2"}});
  ASSERT_OK(reading);
  EXPECT_EQ(reading->warnings.size(), 5);
  EXPECT_THAT(ReadConfig({}, {{"MYSQL_PORT", "tcp://10.0.0.1:3306"}}),
              StatusIs(kWrong, HasSubstr("enableServiceLinks")));
}

TEST(ConfigTest, HostsAreTriedInTheirOrderAndTheSocketFirst) {
  const auto endpoints = [](const Environment& environment) {
    std::vector<std::string> texts;
    const auto reading = ReadConfig({}, environment);
    EXPECT_OK(reading);
    for (const mysql::Endpoint& endpoint : reading->config.database.endpoints) {
      texts.push_back(endpoint.ToString());
    }
    return texts;
  };
  EXPECT_THAT(endpoints({{"MYSQL_HOST", "db-0, db-1:3307,[::1]:3308"}, {"MYSQL_PORT", "3310"}}),
              ElementsAre("db-0:3310", "db-1:3307", "::1:3308"));
  EXPECT_THAT(endpoints({{"MYSQL_SOCKET", "/run/mysqld.sock"}}), ElementsAre("/run/mysqld.sock"));
  EXPECT_THAT(endpoints({{"MYSQL_SOCKET", "/run/mysqld.sock"}, {"MYSQL_HOST", "db"}}),
              ElementsAre("/run/mysqld.sock", "db:3306"));
  for (const char* bad : {"", ",", "db:", "db:0", "db:x", "[::1", "db::3306"}) {
    EXPECT_THAT(ReadConfig({absl::StrCat("--mysql_host=", bad)}, {}),
                StatusIs(kWrong, HasSubstr("MYSQL_HOST")))
        << bad;
  }
}

TEST(ConfigTest, TheSeedsSwitchesMeanWhatTheyMeant) {
  EXPECT_EQ(
      ReadConfig({}, {{"RATE_LIMIT_MYSQL_ASYNC", "false"}})->config.server.ingest.default_ack_level,
      v1::ACK_LEVEL_COMMITTED);
  EXPECT_EQ(ReadConfig({}, {{"DEBUG", "true"}})->config.log_level, base::LogLevel::kDebug);
  EXPECT_EQ(ReadConfig({}, {{"DEBUG", "true"}, {"LOG_LEVEL", "error"}})->config.log_level,
            base::LogLevel::kError);
  EXPECT_EQ(ReadConfig({}, {{"DB_POOL_TIMEOUT", "7"}})->config.pipeline.writer.rent_timeout,
            absl::Seconds(7));
}

TEST(ConfigTest, TheLogIsTextOrJsonOrWhatSuits) {
  EXPECT_EQ(ReadConfig({}, {})->config.log_format, std::nullopt);
  EXPECT_EQ(ReadConfig({}, {{"HOLDFAST_LOG_FORMAT", "auto"}})->config.log_format, std::nullopt);
  EXPECT_EQ(ReadConfig({"--holdfast_log_format=json"}, {})->config.log_format,
            base::LogFormat::kJson);
  EXPECT_EQ(ReadConfig({}, {{"HOLDFAST_LOG_FORMAT", "text"}})->config.log_format,
            base::LogFormat::kText);
  EXPECT_THAT(ReadConfig({}, {{"HOLDFAST_LOG_FORMAT", "xml"}}),
              StatusIs(kWrong, HasSubstr("HOLDFAST_LOG_FORMAT")));
}

TEST(ConfigTest, OneThresholdDecidesWhatIsSlow) {
  const auto reading = ReadConfig({"--db_slow_statement=70ms"}, {});
  ASSERT_OK(reading);
  EXPECT_EQ(reading->config.database.slow_statement, absl::Milliseconds(70));
  EXPECT_EQ(reading->config.pipeline.slow_batch, absl::Milliseconds(70));
}

TEST(ConfigTest, HelpAndVersionNeedNoConfiguration) {
  EXPECT_EQ(ReadConfig({"--help"}, {{"MYSQL_PORT", "x"}})->command, Command::kHelp);
  EXPECT_EQ(ReadConfig({"--version"}, {{"MYSQL_PORT", "x"}})->command, Command::kVersion);
  EXPECT_THAT(ReadConfig({"--check_config"}, {{"MYSQL_PORT", "x"}}),
              StatusIs(kWrong, HasSubstr("MYSQL_PORT")));
}

TEST(ConfigTest, TheEffectiveSettingsSayWhereTheyComeFrom) {
  const auto reading = ReadConfig({"--check_config", "--db_pool_size=12"}, {{"MYSQL_USER", "app"}});
  ASSERT_OK(reading);
  const std::string text = DescribeSettings(*reading);
  EXPECT_THAT(text, testing::ContainsRegex("DB_POOL_SIZE +12 +flag\n"));
  EXPECT_THAT(text, testing::ContainsRegex("MYSQL_USER +app +environment\n"));
  EXPECT_THAT(text, testing::ContainsRegex("DB_MAX_OVERFLOW +5 +default\n"));
}

}  // namespace
}  // namespace holdfast::daemon
