#include "client/cli/doctor.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstdio>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "client/cli/doctor_report.h"
#include "client/cli/program.h"

namespace holdfast::client {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

void Add(v1::FindingLevel level, const char* check, const char* found, const char* meaning,
         const char* remedy, v1::DiagnoseResponse* response) {
  v1::Finding* finding = response->add_findings();
  finding->set_level(level);
  finding->set_check(check);
  finding->set_found(found);
  finding->set_meaning(meaning);
  finding->set_remedy(remedy);
}

TEST(DoctorReportTest, EachFindingIsALineAndRemediesStandBelow) {
  v1::DiagnoseResponse response;
  Add(v1::FINDING_LEVEL_OK, "dns", "db is 10.0.0.7", "", "", &response);
  Add(v1::FINDING_LEVEL_WARNING, "durability", "sync_binlog is 0", "commits get lost",
      "SET GLOBAL sync_binlog = 1", &response);
  Add(v1::FINDING_LEVEL_PROBLEM, "grants", "lacks UPDATE", "a lane stops", "GRANT UPDATE",
      &response);
  Add(v1::FINDING_LEVEL_SKIPPED, "lock waits", "needs PROCESS", "", "", &response);
  EXPECT_EQ(FormatDiagnosis(response, false),
            "ok       dns             db is 10.0.0.7\n"
            "warning  durability      sync_binlog is 0\n"
            "           means: commits get lost\n"
            "           do:    SET GLOBAL sync_binlog = 1\n"
            "problem  grants          lacks UPDATE\n"
            "           means: a lane stops\n"
            "           do:    GRANT UPDATE\n"
            "skipped  lock waits      needs PROCESS\n"
            "\n"
            "1 problem, 1 warning; begin with grants: lacks UPDATE\n");
  EXPECT_EQ(WorstOf(response), v1::FINDING_LEVEL_PROBLEM);
}

TEST(DoctorReportTest, WhatIsSkippedMakesNothingWorse) {
  v1::DiagnoseResponse response;
  Add(v1::FINDING_LEVEL_OK, "dns", "db is 10.0.0.7", "", "", &response);
  EXPECT_EQ(WorstOf(response), v1::FINDING_LEVEL_OK);
  Add(v1::FINDING_LEVEL_SKIPPED, "lock waits", "needs PROCESS", "", "", &response);
  EXPECT_LT(WorstOf(response), v1::FINDING_LEVEL_WARNING);
  EXPECT_THAT(FormatDiagnosis(response, false), HasSubstr("All well."));
}

TEST(DoctorReportTest, ColorsAreOnlyInTheMarkAndBytesOfAServerCannotMakeAny) {
  v1::DiagnoseResponse response;
  Add(v1::FINDING_LEVEL_OK, "version", "MariaDB \x1b[31mred", "", "", &response);
  EXPECT_THAT(FormatDiagnosis(response, false), Not(HasSubstr("\x1b")));
  EXPECT_THAT(FormatDiagnosis(response, true),
              AllOf(HasSubstr("\x1b[32mok      \x1b[0m"), Not(HasSubstr("\x1b[31m"))));
}

TEST(DoctorReportTest, LongLinesAreBrokenUnderTheirBeginning) {
  v1::DiagnoseResponse response;
  std::string words;
  for (int i = 0; i < 40; ++i) absl::StrAppend(&words, "word ");
  Add(v1::FINDING_LEVEL_OK, "tables", words.c_str(), "", "", &response);
  const std::string report = FormatDiagnosis(response, false);
  EXPECT_THAT(report, HasSubstr("\n                         word word"));
  EXPECT_LE(report.find('\n'), 100);
}

TEST(DoctorTest, ASocketThatIsNotThereIsToldFromOneThatNobodyServes) {
  const absl::Status status = absl::UnavailableError("failed to connect");
  EXPECT_THAT(JudgeUnreachable({"unix:/nowhere/s", {}}, status).found(),
              HasSubstr("there is no socket"));
  const std::string path = absl::StrCat("/tmp/holdfast-doctor-", getpid());
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, path.data(), path.size());
  const int fd = socket(AF_UNIX, SOCK_STREAM, 0);
  ASSERT_EQ(bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof(address)), 0);
  close(fd);
  const v1::Finding finding = JudgeUnreachable({absl::StrCat("unix:", path), {}}, status);
  unlink(path.c_str());
  EXPECT_THAT(finding.found(), HasSubstr("nobody listens behind"));
  EXPECT_THAT(finding.remedy(), HasSubstr("start holdfastd"));
  const v1::Finding away = JudgeUnreachable({"localhost:1", {}}, status);
  EXPECT_THAT(away.found(), HasSubstr("failed to connect"));
  EXPECT_THAT(away.remedy(), HasSubstr("--tls_ca_file"));
}

TEST(DoctorTest, AProbeThatIsNotCommittedIsToldFromOneThatIsNotTaken) {
  ProbeSent sent;
  sent.committed = absl::DeadlineExceededError("no acknowledgement within 10s");
  std::vector<v1::Finding> findings = JudgeProbeSent(sent);
  ASSERT_EQ(findings.size(), 2);
  EXPECT_EQ(findings[0].level(), v1::FINDING_LEVEL_OK);
  EXPECT_EQ(findings[1].level(), v1::FINDING_LEVEL_PROBLEM);
  EXPECT_THAT(findings[1].meaning(), HasSubstr("wait in the journal"));
  sent.journaled = absl::ResourceExhaustedError("the journal is full");
  EXPECT_EQ(JudgeProbeSent(sent)[0].level(), v1::FINDING_LEVEL_PROBLEM);
}

TEST(ProgramTest, OutputErrorsAndExitCodeComeBack) {
  const auto ended =
      RunProgram("/bin/sh", {"-c", "echo out; echo err >&2; exit 3"}, absl::Seconds(60));
  ASSERT_TRUE(ended.ok());
  EXPECT_EQ(ended->output, "out\n");
  EXPECT_EQ(ended->errors, "err\n");
  EXPECT_EQ(ended->exit_code, 3);
}

TEST(ProgramTest, OneThatDoesNotEndIsEnded) {
  const auto ended = RunProgram("/bin/sh", {"-c", "exec sleep 1000"}, absl::Milliseconds(50));
  EXPECT_TRUE(absl::IsDeadlineExceeded(ended.status()));
}

TEST(ProgramTest, OneThatIsNotThereIsToldAndFoundNowhere) {
  EXPECT_FALSE(RunProgram("/nowhere/holdfastd", {}, absl::Seconds(60)).ok());
  EXPECT_EQ(FindProgram("no-such-program-anywhere"), "");
  EXPECT_THAT(FindProgram("sh"), HasSubstr("/sh"));
}

}  // namespace
}  // namespace holdfast::client
