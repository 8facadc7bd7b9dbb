// The books after a simulation: what is in the tables, against all that was sent.

#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "tests/sim/failure.h"
#include "tests/sim/pod.h"
#include "tests/sim/report.h"
#include "tests/support/fake_database.h"

namespace holdfast::sim {

// REQUIRES: the pods are alive and have nothing left to deliver.
class Audit {
 public:
  Audit(uint64_t seed, const test::FakeDatabase& database,
        const std::vector<std::unique_ptr<Pod>>& pods, Failure& failure, Report& report)
      : seed_(seed), database_(database), pods_(pods), failure_(failure), report_(report) {}

  void Run();

 private:
  // An event that was sent.
  struct Sent {
    v1::Event event;
    std::string content;  // As its row shows it.
    size_t pod = 0;
    bool must = false;  // It was acknowledged, so it must be there; otherwise it may.
  };

  void Collect();
  void Add(const v1::Event& event, size_t pod, bool must);
  void ReadQuarantine();
  void CheckRows(const std::map<std::string, std::string>& rows,
                 std::map<std::string, std::vector<Sent>>& sent, const char* table);
  void CheckSent(const Sent& sent, const std::string* row, const char* table);
  void CheckQuarantine();
  void CheckStats();
  void CheckHits();
  void CheckObserved();
  void CheckLanes();
  void JudgeDamage();
  void Miss(const Sent& sent, const std::string& what);

  const uint64_t seed_;
  const test::FakeDatabase& database_;
  const std::vector<std::unique_ptr<Pod>>& pods_;
  Failure& failure_;
  Report& report_;

  std::map<std::string, std::vector<Sent>> usage_;     // By key.
  std::map<std::string, std::vector<Sent>> messages_;  // By id.
  std::map<std::string, std::vector<Sent>> hits_;      // By id, or by who sent it as what.
  std::vector<Sent> observed_;
  std::map<std::string, std::string> usage_rows_;
  std::set<std::string> quarantine_;  // Serialized events.
  uint64_t unnamed_hits_ = 0;
  std::vector<uint64_t> missing_;  // By pod.
  std::vector<int64_t> adjusted_;
};

}  // namespace holdfast::sim
