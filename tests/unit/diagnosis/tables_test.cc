#include "server/diagnosis/tables.h"

#include "absl/strings/ascii.h"
#include "gtest/gtest.h"

#include "tests/unit/diagnosis/finds.h"

namespace holdfast::diagnosis {
namespace {

using testing::ElementsAre;

WantedTable Wanted(absl::string_view name) {
  for (WantedTable& table : WantedTables()) {
    if (table.name == name) return std::move(table);
  }
  ADD_FAILURE() << "no table " << name;
  return {};
}

FoundKey KeyOver(const std::string& name, bool is_unique, const std::vector<std::string>& columns) {
  FoundKey key{name, is_unique, {}};
  for (const std::string& column : columns) key.parts.push_back({column, 0});
  return key;
}

// The table as sql/ makes it.
FoundTable AsWanted(const WantedTable& wanted) {
  FoundTable table;
  table.engine = "InnoDB";
  for (const WantedColumn& column : wanted.columns) {
    table.columns.push_back(
        {column.name, column.type, column.capacity, false, column.is_filled, ""});
  }
  table.keys.push_back(KeyOver("PRIMARY", true, wanted.key));
  for (const std::string& column : wanted.sought_by) {
    table.keys.push_back(KeyOver("idx_" + column, false, {column}));
  }
  return table;
}

FoundColumn& Column(FoundTable& table, const std::string& name) {
  for (FoundColumn& column : table.columns) {
    if (column.name == name) return column;
  }
  ADD_FAILURE() << "no column " << name;
  return table.columns.front();
}

class TableTest : public testing::Test {
 protected:
  const Findings& Judge() {
    JudgeTable(wanted_, table_, &findings_);
    return findings_;
  }

  const WantedTable wanted_ = Wanted("rate_limit_records");
  FoundTable table_ = AsWanted(wanted_);
  Findings findings_;
};

TEST(SchemaTest, TheMigrationsTellTheTables) {
  std::vector<std::string> names;
  for (const WantedTable& table : WantedTables()) names.push_back(table.name);
  EXPECT_THAT(names,
              ElementsAre("holdfast_lanes", "holdfast_quarantine", "rate_limit_records",
                          "holdfast_rate_limit_hits", "usage_records", "usage_stats", "message"));
  const WantedTable records = Wanted("rate_limit_records");
  EXPECT_THAT(records.key, ElementsAre("identifier", "window_type", "route_path", "window_start"));
  EXPECT_THAT(records.sought_by, ElementsAre("window_end"));
  EXPECT_EQ(records.columns.size(), 8);
  EXPECT_EQ(records.columns[2].type, "varbinary(500)");
  EXPECT_EQ(records.columns[2].definition, "VARBINARY(500) NOT NULL DEFAULT ''");
  EXPECT_TRUE(records.columns[7].is_filled);
  EXPECT_THAT(Wanted("holdfast_quarantine").key, ElementsAre("digest"));
}

TEST(SchemaTest, TypesTellWhatTheyHold) {
  EXPECT_EQ(CapacityOf("int(11)", 0).most, (uint64_t{1} << 31) - 1);
  EXPECT_EQ(CapacityOf("bigint(20) unsigned", 0).most, UINT64_MAX);
  EXPECT_EQ(CapacityOf("varchar(255)", 1020).most, 1020);
  EXPECT_EQ(CapacityOf("VARBINARY(64)", 0).most, 64);
  EXPECT_EQ(CapacityOf("text", 0).most, 65535);
  EXPECT_EQ(CapacityOf("datetime(6)", 0).family, Family::kTime);
}

TEST_F(TableTest, ATableAsTheMigrationsMakeItIsAllWell) {
  EXPECT_EQ(Judge().response().findings_size(), 0);
}

TEST_F(TableTest, ANullableKeyColumnIsFound) {
  Column(table_, "route_path").is_nullable = true;
  EXPECT_THAT(Judge(),
              Finds("tables", kWarning, "route_path of the unique key PRIMARY may be NULL"));
  EXPECT_THAT(findings_,
              Finds("tables", kWarning, "MODIFY route_path VARBINARY(500) NOT NULL DEFAULT ''"));
}

TEST_F(TableTest, APrefixInTheKeyIsFound) {
  table_.keys[0].parts[2].prefix = 191;
  EXPECT_THAT(Judge(), Finds("tables", kWarning, "first characters of route_path (191)"));
}

TEST_F(TableTest, ATextCollationInTheKeyIsFoundAndAnExactOneIsNot) {
  Column(table_, "identifier").collation = "utf8mb4_bin";  // Merges a trailing space.
  Column(table_, "route_path").collation = "utf8mb4_0900_bin";
  Column(table_, "window_type").collation = "utf8mb4_nopad_bin";
  EXPECT_THAT(Judge(), Finds("tables", kWarning, "not bytes: identifier (utf8mb4_bin)"));
  EXPECT_EQ(findings_.response().findings_size(), 1);
}

TEST_F(TableTest, WithoutItsUniqueKeyATableIsAProblem) {
  table_.keys[0].is_unique = false;
  EXPECT_THAT(Judge(), Finds("tables", kProblem, "no unique key over (identifier, window_type"));
  // One over fewer columns merges rows.
  findings_ = Findings();
  table_.keys[0] = KeyOver("uk", true, {"identifier", "window_start"});
  EXPECT_THAT(Judge(), Finds("tables", kProblem, "no unique key over"));
  EXPECT_THAT(findings_, Finds("tables", kWarning, "another unique key, uk"));
}

TEST_F(TableTest, AMissingIndexIsFound) {
  table_.keys.pop_back();
  EXPECT_THAT(Judge(), Finds("tables", kWarning, "no index that begins with window_end"));
}

TEST_F(TableTest, AMissingColumnIsAProblemUnlessTheServerFillsIt) {
  std::erase_if(table_.columns, [](const FoundColumn& one) { return one.name == "created_at"; });
  EXPECT_EQ(Judge().response().findings_size(), 0);
  std::erase_if(table_.columns, [](const FoundColumn& one) { return one.name == "window_end"; });
  EXPECT_THAT(Judge(), Finds("tables", kProblem, "lacks window_end"));
}

TEST_F(TableTest, ANarrowColumnIsFound) {
  Column(table_, "request_count").type = "int(11)";
  Column(table_, "request_count").capacity = CapacityOf("int(11)", 0);
  EXPECT_THAT(Judge(), Finds("tables", kWarning, "request_count (int(11), not bigint unsigned)"));
}

TEST_F(TableTest, AColumnThatMustHaveAValueOfNobodysIsAProblem) {
  table_.columns.push_back({"tenant", "int(11)", {Family::kNumber, 1}, false, false, ""});
  EXPECT_THAT(Judge(), Finds("tables", kProblem, "rate_limit_records.tenant"));
  EXPECT_THAT(findings_, Finds("tables", kProblem, "1364"));
}

TEST_F(TableTest, AnEngineWithoutTransactionsIsAProblem) {
  table_.engine = "MyISAM";
  EXPECT_THAT(Judge(), Finds("tables", kProblem, "engine MyISAM"));
}

TEST(TablesTest, AnEarlierGatewaysUsageTableIsToldFromOneThatLacksAColumn) {
  const WantedTable wanted = Wanted("usage_records");
  FoundTable table = AsWanted(wanted);
  std::erase_if(table.columns, [](const FoundColumn& one) { return one.name == "event_id"; });
  Findings findings;
  JudgeTable(wanted, table, &findings);
  EXPECT_THAT(findings, Finds("tables", kProblem, "usage_records is an earlier gateway's table"));
}

TEST(TablesTest, AMissingTableIsAProblemAndOneThatMayNotBeSeenIsSkipped) {
  FoundTables found;
  for (const WantedTable& wanted : WantedTables()) found[wanted.name] = AsWanted(wanted);
  Account account;
  account.grants = NeededGrants("gateway_db");
  Findings sound;
  JudgeTables(found, &account, "gateway_db", &sound);
  EXPECT_EQ(WorstOf(sound), kOk);

  found.erase("usage_stats");
  Findings missing;
  JudgeTables(found, &account, "gateway_db", &missing);
  EXPECT_THAT(missing, Finds("tables", kProblem, "usage_stats is missing"));

  std::erase_if(account.grants, [](const Grant& grant) { return grant.table == "usage_stats"; });
  Findings unseen;
  JudgeTables(found, &account, "gateway_db", &unseen);
  EXPECT_THAT(unseen, Finds("tables", kSkipped, "usage_stats: needs a grant"));
}

TEST(MigrationsTest, PendingNewerAndShiftedSchemasAreFound) {
  Options options;
  options.stats_utc_offset = absl::ZeroDuration();
  const auto judge = [&options](const absl::StatusOr<mysql::SchemaState>& state) {
    Findings findings;
    JudgeMigrations(state, options, &findings);
    return findings;
  };
  const int newest = mysql::SchemaVersion();
  EXPECT_THAT(judge(mysql::SchemaState{newest, "+00:00"}), Finds("migrations", kOk, "version"));
  EXPECT_THAT(judge(mysql::SchemaState{}), Finds("migrations", kProblem, "none of"));
  EXPECT_THAT(judge(mysql::SchemaState{newest - 1, "+00:00"}),
              Finds("migrations", kProblem, "--migrate"));
  EXPECT_THAT(judge(mysql::SchemaState{newest + 1, "+00:00"}),
              Finds("migrations", kWarning, "newer"));
  EXPECT_THAT(judge(mysql::SchemaState{newest, "+08:00"}),
              Finds("migrations", kProblem, "STATS_UTC_OFFSET=+08:00"));
}

}  // namespace
}  // namespace holdfast::diagnosis
