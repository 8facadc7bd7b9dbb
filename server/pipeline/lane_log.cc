// What a lane says of its batches.

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

#include "server/base/log.h"
#include "server/pipeline/lane.h"
#include "server/statement/trace_comment.h"

namespace holdfast::pipeline {
namespace {

using flow::Verdict;

void AddTraces(const event::TraceSet& traces, std::vector<base::LogField>* fields) {
  if (traces.empty()) return;
  std::vector<std::string> ids;
  for (const event::Trace& trace : traces.kept()) ids.push_back(event::FormatTraceId(trace));
  fields->emplace_back("traces", ids);
  if (traces.more() > 0) fields->emplace_back("traces_more", traces.more());
}

}  // namespace

void Lane::Log(Verdict verdict, const absl::Status& failure, absl::string_view what) {
  if (logged_ == verdict) return;
  logged_ = verdict;
  // Only the message: what else the status carries may repeat values.
  std::vector<base::LogField> fields = {
      {"lane", name_}, {"verdict", flow::VerdictName(verdict)}, {"error", failure.message()}};
  AddTraces(writer::TracesOf(cut_), &fields);
  base::Log(verdict == Verdict::kOutage ? base::LogLevel::kError : base::LogLevel::kWarning,
            absl::StrCat(what, "; its events wait in the journal"), fields);
}

// Before the failures that it took are forgotten, and the cut is made shorter.
void Lane::LogBatch(const writer::Written& written, absl::Duration journal_took) {
  const absl::Duration took = clock_.Steady() - asked_at_ - journal_took;
  const int attempt = retry_.failures() + 1;
  // Less than was asked for, or not all of it: events were sought that the database rejects.
  const bool bisected = written.done < cut_.size() || !written.rejections.empty();
  base::LogLevel level = base::LogLevel::kDebug;
  if (attempt > 1 || bisected) level = base::LogLevel::kInfo;
  if (took >= slow_batch_) level = base::LogLevel::kWarning;
  if (!base::IsLogged(level)) return;
  const std::vector<std::string> tables =
      absl::StrSplit(statement::TablesOf(event::KindOfLane(number_)), ',');
  std::vector<base::LogField> fields = {{"lane", name_},
                                        {"tables", tables},
                                        {"rows", written.done},
                                        {"quarantined", written.rejections.size()},
                                        {"attempt", attempt},
                                        {"took", took},
                                        {"journal_took", journal_took}};
  AddTraces(writer::TracesOf(absl::MakeConstSpan(cut_).first(written.done)), &fields);
  base::Log(level, took >= slow_batch_ ? "slow batch" : "batch written", fields);
}

}  // namespace holdfast::pipeline
