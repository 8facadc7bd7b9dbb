// The journal's folder: whether it lasts, has room, is fast, is ours alone.

#pragma once

#include <optional>

#include "absl/time/time.h"

#include "server/base/clock.h"
#include "server/diagnosis/findings.h"
#include "server/diagnosis/options.h"
#include "server/disk/survey.h"

namespace holdfast::diagnosis {

// Nullopt if the disk did not answer within `timeout`.
std::optional<disk::Survey> SurveyJournal(const Options& options, absl::Duration timeout,
                                          base::Clock& clock);

// `process_id`, `user_id`: this process's.
void JudgeFolder(const std::optional<disk::Survey>& survey, const Options& options, int process_id,
                 uint32_t user_id, Findings* findings);

}  // namespace holdfast::diagnosis
