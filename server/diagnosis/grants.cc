#include "server/diagnosis/grants.h"

#include <algorithm>
#include <optional>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"

#include "server/base/status_macros.h"

#include "sql/migrations.h"

namespace holdfast::diagnosis {
namespace {

constexpr absl::string_view kAll = "ALL PRIVILEGES";

// What may be had on top without a word: to connect, and to see other sessions.
bool IsHarmless(const Grant& grant, absl::string_view privilege) {
  return privilege == "USAGE" || privilege == "PROCESS" || privilege == "SHOW DATABASES" ||
         (privilege == "SELECT" && grant.database == "performance_schema");
}

std::string Unquoted(absl::string_view name) {
  if (name.size() >= 2 && name.front() == '`' && name.back() == '`') {
    return absl::StrReplaceAll(name.substr(1, name.size() - 2), {{"``", "`"}});
  }
  return std::string(name);
}

// Splits at commas that stand in no parentheses: "SELECT (a, b), INSERT".
std::set<std::string> SplitPrivileges(absl::string_view text) {
  std::set<std::string> privileges;
  int depth = 0;
  size_t begin = 0;
  for (size_t i = 0; i <= text.size(); ++i) {
    if (i < text.size() && text[i] == '(') ++depth;
    if (i < text.size() && text[i] == ')') --depth;
    if (i < text.size() && (text[i] != ',' || depth > 0)) continue;
    privileges.emplace(absl::StripAsciiWhitespace(text.substr(begin, i - begin)));
    begin = i + 1;
  }
  return privileges;
}

// The position of the dot between database and table: not one within backquotes.
size_t DotOf(absl::string_view object) {
  bool quoted = false;
  for (size_t i = 0; i < object.size(); ++i) {
    if (object[i] == '`') quoted = !quoted;
    if (object[i] == '.' && !quoted) return i;
  }
  return absl::string_view::npos;
}

// As LIKE does, with a backslash before what is meant literally.
bool MatchesPattern(absl::string_view pattern, absl::string_view name) {
  if (pattern.empty()) return name.empty();
  if (pattern[0] == '%') {
    return MatchesPattern(pattern.substr(1), name) ||
           (!name.empty() && MatchesPattern(pattern, name.substr(1)));
  }
  if (name.empty()) return false;
  if (pattern[0] == '\\' && pattern.size() > 1) {
    return pattern[1] == name[0] && MatchesPattern(pattern.substr(2), name.substr(1));
  }
  return (pattern[0] == '_' || pattern[0] == name[0]) &&
         MatchesPattern(pattern.substr(1), name.substr(1));
}

bool Covers(const Grant& grant, absl::string_view database, absl::string_view table) {
  if (grant.database == "*") return true;
  if (grant.table != "*") return grant.database == database && grant.table == table;
  return MatchesPattern(grant.database, database);
}

std::string ObjectOf(const Grant& grant) { return absl::StrCat(grant.database, ".", grant.table); }

// What `grant` gives beyond `needed`, in words; empty if nothing.
std::string Excess(const Grant& grant, const std::vector<Grant>& needed) {
  std::vector<std::string> more;
  for (const std::string& privilege : grant.privileges) {
    const bool is_needed = std::any_of(needed.begin(), needed.end(), [&](const Grant& need) {
      return grant.database == need.database && grant.table == need.table &&
             need.privileges.count(privilege) > 0;
    });
    if (!is_needed && !IsHarmless(grant, privilege)) more.push_back(privilege);
  }
  if (grant.may_grant) more.push_back("GRANT OPTION");
  if (more.empty()) return "";
  constexpr size_t kNamed = 6;
  const size_t count = more.size();
  if (count > kNamed) more.resize(kNamed);
  return absl::StrCat(absl::StrJoin(more, ", "),
                      count > kNamed ? absl::StrCat(" and ", count - kNamed, " more") : "", " on ",
                      ObjectOf(grant));
}

}  // namespace

std::optional<Grant> ParseGrant(absl::string_view statement) {
  const std::string text = absl::StrReplaceAll(statement, {{"\n", " "}});
  absl::string_view rest = absl::StripAsciiWhitespace(text);
  if (!absl::ConsumePrefix(&rest, "GRANT ")) return std::nullopt;
  const size_t on = rest.find(" ON ");
  if (on == absl::string_view::npos) return std::nullopt;  // A role.
  Grant grant;
  grant.privileges = SplitPrivileges(rest.substr(0, on));
  rest.remove_prefix(on + 4);
  const size_t to = rest.find(" TO ");
  if (to == absl::string_view::npos || grant.privileges.count("PROXY") > 0) return std::nullopt;
  const absl::string_view object = absl::StripAsciiWhitespace(rest.substr(0, to));
  const size_t dot = DotOf(object);
  // "PROCEDURE db.name", and the like.
  if (dot == absl::string_view::npos || absl::StrContains(object.substr(0, dot), " ")) {
    return std::nullopt;
  }
  grant.database = Unquoted(object.substr(0, dot));
  grant.table = Unquoted(object.substr(dot + 1));
  grant.may_grant = absl::StrContains(rest.substr(to), "WITH GRANT OPTION");
  return grant;
}

bool Account::Has(absl::string_view privilege, absl::string_view database,
                  absl::string_view table) const {
  return std::any_of(grants.begin(), grants.end(), [&](const Grant& grant) {
    return Covers(grant, database, table) && (grant.privileges.count(std::string(privilege)) > 0 ||
                                              grant.privileges.count(std::string(kAll)) > 0);
  });
}

std::vector<Grant> NeededGrants(absl::string_view database) {
  std::vector<std::string> code;
  for (const absl::string_view line : absl::StrSplit(sql::Grants(), '\n')) {
    if (!absl::StartsWith(line, "--")) code.emplace_back(line);
  }
  std::vector<Grant> needed;
  for (const absl::string_view statement : absl::StrSplit(absl::StrJoin(code, "\n"), ';')) {
    if (!absl::StrContains(statement, "'holdfast'@")) continue;
    std::optional<Grant> grant = ParseGrant(statement);
    if (!grant.has_value()) continue;
    grant->database = std::string(database);
    needed.push_back(*std::move(grant));
  }
  return needed;
}

absl::StatusOr<Account> ReadAccount(Questions& questions) {
  Account account;
  Answer answer;
  HOLDFAST_ASSIGN_OR_RETURN(answer, questions.Ask("SELECT CURRENT_USER()"));
  const std::vector<std::string> name = absl::StrSplit(TextAt(answer.at(0), 0), '@');
  account.name = absl::StrCat("'", absl::StrJoin(name, "'@'"), "'");
  std::string show = "SHOW GRANTS";
  if (!questions.is_maria_db()) {
    // MySQL says what a role gives only if it is asked for the role. 5.7 has none.
    const absl::StatusOr<Answer> roles = questions.Ask("SELECT CURRENT_ROLE()");
    if (roles.ok() && TextAt(roles->at(0), 0) != "NONE") {
      show = absl::StrCat("SHOW GRANTS FOR CURRENT_USER() USING ", TextAt(roles->at(0), 0));
    }
  }
  HOLDFAST_ASSIGN_OR_RETURN(answer, questions.Ask(show));
  for (const mysql::ResultRow& row : answer) {
    if (std::optional<Grant> grant = ParseGrant(TextAt(row, 0))) {
      account.grants.push_back(*std::move(grant));
    }
  }
  return account;
}

void JudgeGrants(const Account& account, absl::string_view database, Findings* findings) {
  const std::vector<Grant> needed = NeededGrants(database);
  std::vector<std::string> missing;
  std::vector<std::string> remedies;
  for (const Grant& need : needed) {
    std::vector<std::string> privileges;
    for (const std::string& privilege : need.privileges) {
      if (!account.Has(privilege, database, need.table)) privileges.push_back(privilege);
    }
    if (privileges.empty()) continue;
    const std::string listed = absl::StrJoin(privileges, ", ");
    missing.push_back(absl::StrCat(listed, " on ", need.table));
    remedies.push_back(
        absl::StrCat("GRANT ", listed, " ON ", ObjectOf(need), " TO ", account.name, ";"));
  }
  if (!missing.empty()) {
    findings->Problem("grants", absl::StrCat(account.name, " lacks ", absl::StrJoin(missing, "; ")),
                      "what needs it fails: lanes stop, and their events wait in the journal",
                      absl::StrJoin(remedies, " "));
  }
  std::vector<std::string> excess;
  for (const Grant& grant : account.grants) {
    if (const std::string more = Excess(grant, needed); !more.empty()) excess.push_back(more);
  }
  if (!excess.empty()) {
    findings->Warn(
        "grants",
        absl::StrCat(account.name, " has more than it needs: ", absl::StrJoin(excess, "; ")),
        "whoever gets hold of its password can do more than write events",
        "let the daemon have an account of its own with the grants of sql/grants.sql, "
        "and run holdfastd --migrate with another");
  }
  if (missing.empty() && excess.empty()) {
    findings->Ok("grants", absl::StrCat(account.name, " has what sql/grants.sql names, no more"));
  }
}

}  // namespace holdfast::diagnosis
