// One table: its engine, its columns, its keys.

#include <algorithm>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

#include "server/diagnosis/tables.h"

namespace holdfast::diagnosis {
namespace {

constexpr char kCheck[] = "tables";

// Collations that compare byte by byte, a trailing space included.
bool IsExact(absl::string_view collation) {
  return collation.empty() || collation == "binary" || absl::EndsWith(collation, "_nopad_bin") ||
         collation == "utf8mb4_0900_bin";
}

class TableJudge {
 public:
  TableJudge(const WantedTable& wanted, const FoundTable& found, Findings* findings)
      : wanted_(wanted), found_(found), findings_(*findings) {}

  void Run() {
    if (!found_.is_base_table) {
      return findings_.Problem(kCheck, absl::StrCat(wanted_.name, " is a view"),
                               "it has no keys by which a row would count once",
                               "rename it, and run holdfastd --migrate");
    }
    if (!Engine() || !Columns()) return;
    Narrow();
    Unfilled();
    if (const FoundKey* key = Key()) Weaknesses(*key);
    OtherKeys();
  }

 private:
  bool Engine();
  bool Columns();
  void Narrow();
  void Unfilled();
  const FoundKey* Key();
  void Weaknesses(const FoundKey& key);
  void OtherKeys();

  bool IsKeyColumn(const std::string& column) const {
    return std::find(wanted_.key.begin(), wanted_.key.end(), column) != wanted_.key.end();
  }
  const WantedColumn& Wanted(const std::string& column) const {
    return *std::find_if(wanted_.columns.begin(), wanted_.columns.end(),
                         [&column](const WantedColumn& one) { return one.name == column; });
  }
  std::string Alter(absl::string_view change) const {
    return absl::StrCat("ALTER TABLE ", wanted_.name, " ", change, ";");
  }

  const WantedTable& wanted_;
  const FoundTable& found_;
  Findings& findings_;
};

bool TableJudge::Engine() {
  if (absl::EqualsIgnoreCase(found_.engine, "InnoDB")) return true;
  findings_.Problem(kCheck, absl::StrCat(wanted_.name, " has the engine ", found_.engine),
                    "it knows no transactions: after an error half a batch stays, and counts again",
                    Alter("ENGINE=InnoDB"));
  return true;
}

bool TableJudge::Columns() {
  std::vector<std::string> missing;
  std::vector<std::string> other;
  bool lacks_key = false;
  for (const WantedColumn& column : wanted_.columns) {
    const FoundColumn* found = found_.Find(column.name);
    if (found == nullptr && !column.is_filled) {
      missing.push_back(column.name);
      lacks_key = lacks_key || IsKeyColumn(column.name);
    } else if (found != nullptr && found->capacity.family != column.capacity.family) {
      other.push_back(absl::StrCat(column.name, " is ", found->type, ", not ", column.type));
      lacks_key = lacks_key || IsKeyColumn(column.name);
    }
  }
  if (missing.empty() && other.empty()) return true;
  if (lacks_key && !wanted_.may_be_foreign()) {
    findings_.Problem(kCheck, absl::StrCat(wanted_.name, " is an earlier gateway's table"),
                      "Holdfast's own of that name is not there",
                      absl::StrCat("run holdfastd --migrate: it renames this one to ", wanted_.name,
                                   "_before_holdfast and makes its own"));
    return false;
  }
  if (!missing.empty()) {
    findings_.Problem(kCheck, absl::StrCat(wanted_.name, " lacks ", absl::StrJoin(missing, ", ")),
                      "every statement on it fails; its lanes stop, and their events wait",
                      "run holdfastd --migrate, or see what changed the table and add the columns "
                      "as sql/ has them");
  }
  if (!other.empty()) {
    findings_.Problem(kCheck, absl::StrCat(wanted_.name, ": ", absl::StrJoin(other, ", ")),
                      "values are refused or changed on their way in",
                      "give the columns the types that sql/ has");
  }
  return missing.empty();
}

void TableJudge::Narrow() {
  std::vector<std::string> narrow;
  std::vector<std::string> changes;
  for (const WantedColumn& column : wanted_.columns) {
    const FoundColumn* found = found_.Find(column.name);
    if (found == nullptr || found->capacity.family != column.capacity.family) continue;
    // A signed number of the same width holds all that events may say.
    const bool is_number = column.capacity.family == Family::kNumber;
    const uint64_t enough = is_number ? column.capacity.most / 2 : column.capacity.most;
    if (found->capacity.most >= enough) continue;
    narrow.push_back(absl::StrCat(column.name, " (", found->type, ", not ", column.type, ")"));
    changes.push_back(absl::StrCat("MODIFY ", column.name, " ", column.definition));
  }
  if (narrow.empty()) return;
  findings_.Warn(
      kCheck, absl::StrCat(wanted_.name, " is narrower than events: ", absl::StrJoin(narrow, ", ")),
      "events with larger values go to the quarantine", Alter(absl::StrJoin(changes, ", ")));
}

void TableJudge::Unfilled() {
  for (const FoundColumn& column : found_.columns) {
    const bool is_ours =
        std::any_of(wanted_.columns.begin(), wanted_.columns.end(),
                    [&](const WantedColumn& one) { return one.name == column.name; });
    if (is_ours || column.is_nullable || column.has_default) continue;
    findings_.Problem(
        kCheck,
        absl::StrCat(wanted_.name, ".", column.name, " must have a value and has no default"),
        "no statement of Holdfast's names it, so every INSERT fails with error 1364",
        Alter(absl::StrCat("MODIFY ", column.name, " ", column.type, " NULL")));
  }
}

// The unique key by which a row counts once: of just the columns that make a row.
const FoundKey* TableJudge::Key() {
  for (const FoundKey& key : found_.keys) {
    if (!key.is_unique || key.parts.size() != wanted_.key.size()) continue;
    const bool matches = std::all_of(key.parts.begin(), key.parts.end(),
                                     [this](const auto& part) { return IsKeyColumn(part.column); });
    if (matches) return &key;
  }
  const std::string columns = absl::StrJoin(wanted_.key, ", ");
  findings_.Problem(kCheck, absl::StrCat(wanted_.name, " has no unique key over (", columns, ")"),
                    "the same event makes a second row: counts are split or doubled",
                    Alter(absl::StrCat("ADD UNIQUE KEY uk_", wanted_.name, " (", columns, ")")) +
                        " once doubled rows are merged");
  return nullptr;
}

void TableJudge::Weaknesses(const FoundKey& key) {
  std::vector<std::string> nullable;
  std::vector<std::string> prefixes;
  std::vector<std::string> collated;
  std::vector<std::string> changes;
  for (const FoundKey::Part& part : key.parts) {
    const FoundColumn& column = *found_.Find(part.column);
    const bool is_collated = !IsExact(column.collation);
    if (column.is_nullable) nullable.push_back(part.column);
    if (part.prefix != 0) prefixes.push_back(absl::StrCat(part.column, " (", part.prefix, ")"));
    if (is_collated) collated.push_back(absl::StrCat(part.column, " (", column.collation, ")"));
    if (!column.is_nullable && part.prefix == 0 && !is_collated) continue;
    changes.push_back(absl::StrCat("MODIFY ", part.column, " ", Wanted(part.column).definition));
  }
  const std::string mend = Alter(absl::StrJoin(changes, ", "));
  if (!nullable.empty()) {
    findings_.Warn(kCheck,
                   absl::StrCat(wanted_.name, ": ", absl::StrJoin(nullable, ", "),
                                " of the unique key ", key.name, " may be NULL"),
                   "NULL equals nothing: what others write with NULL there makes a new row each "
                   "time (Holdfast writes none)",
                   absl::StrCat("give the rows with NULL a value, or delete them; then ", mend));
  }
  if (!prefixes.empty()) {
    findings_.Warn(
        kCheck,
        absl::StrCat(wanted_.name, ": the unique key ", key.name,
                     " sees only the first characters of ", absl::StrJoin(prefixes, ", ")),
        "two values that begin alike share a row, and their counts mix",
        absl::StrCat(mend, " ",
                     Alter(absl::StrCat("DROP KEY ", key.name, ", ADD UNIQUE KEY ", key.name, " (",
                                        absl::StrJoin(wanted_.key, ", "), ")"))));
  }
  if (!collated.empty()) {
    findings_.Warn(
        kCheck,
        absl::StrCat(wanted_.name, ": the unique key ", key.name,
                     " compares text, not bytes: ", absl::StrJoin(collated, ", ")),
        "values that differ only in case or in a trailing space share a row: Bob, bob and "
        "\"bob \" are one",
        mend);
  }
}

void TableJudge::OtherKeys() {
  for (const FoundKey& key : found_.keys) {
    const bool only_number = key.parts.size() == 1 && found_.Find(key.parts[0].column) != nullptr &&
                             found_.Find(key.parts[0].column)->has_default;
    const bool has_ours =
        std::all_of(wanted_.key.begin(), wanted_.key.end(), [&key](const std::string& column) {
          return std::any_of(key.parts.begin(), key.parts.end(),
                             [&column](const auto& part) { return part.column == column; });
        });
    if (!key.is_unique || only_number || has_ours) continue;
    findings_.Warn(
        kCheck, absl::StrCat(wanted_.name, " has another unique key, ", key.name),
        "events that share its values with a row go to the quarantine with error 1062",
        absl::StrCat("drop it if that is not meant: ", Alter(absl::StrCat("DROP KEY ", key.name))));
  }
  for (const std::string& column : wanted_.sought_by) {
    const bool is_there =
        std::any_of(found_.keys.begin(), found_.keys.end(),
                    [&column](const FoundKey& key) { return key.parts[0].column == column; });
    if (is_there) continue;
    findings_.Warn(kCheck, absl::StrCat(wanted_.name, " has no index that begins with ", column),
                   "whoever seeks by it reads the whole table",
                   Alter(absl::StrCat("ADD KEY idx_", column, " (", column, ")")));
  }
}

}  // namespace

void JudgeTable(const WantedTable& wanted, const FoundTable& found, Findings* findings) {
  TableJudge(wanted, found, findings).Run();
}

}  // namespace holdfast::diagnosis
