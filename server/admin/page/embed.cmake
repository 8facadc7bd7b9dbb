# Writes OUTPUT, a C++ source with the status page of FOLDER in one piece, and the policy that lets a
# browser run this style and this script and no other. Run by server/admin/CMakeLists.txt.

# The digest of TEXT as the policy wants it, base64.
function(digest TEXT RESULT)
  set(DIGITS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/")
  string(SHA256 HEX "${TEXT}")
  # Three hexadecimal digits make two of base64; of 64, one is left over.
  set(CODE "")
  foreach(PLACE RANGE 0 60 3)
    string(SUBSTRING ${HEX} ${PLACE} 3 BITS)
    math(EXPR HIGH "0x${BITS} >> 6")
    math(EXPR LOW "0x${BITS} & 63")
    string(SUBSTRING ${DIGITS} ${HIGH} 1 HIGH)
    string(SUBSTRING ${DIGITS} ${LOW} 1 LOW)
    string(APPEND CODE ${HIGH}${LOW})
  endforeach()
  string(SUBSTRING ${HEX} 63 1 BITS)
  math(EXPR LAST "0x${BITS} << 2")
  string(SUBSTRING ${DIGITS} ${LAST} 1 LAST)
  set(${RESULT} "sha256-${CODE}${LAST}=" PARENT_SCOPE)
endfunction()

file(READ ${FOLDER}/index.html PAGE)
file(READ ${FOLDER}/page.css STYLE)
set(SCRIPT "")
foreach(PART words heard parts lines page)
  file(READ ${FOLDER}/${PART}.js TEXT)
  string(APPEND SCRIPT "${TEXT}")
endforeach()
digest("${STYLE}" STYLE_DIGEST)
digest("${SCRIPT}" SCRIPT_DIGEST)
string(REPLACE "{{style}}" "${STYLE}" PAGE "${PAGE}")
string(REPLACE "{{script}}" "${SCRIPT}" PAGE "${PAGE}")

string(CONCAT POLICY
  "default-src 'none'; script-src '${SCRIPT_DIGEST}'; style-src '${STYLE_DIGEST}'; "
  "connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
string(CONCAT SOURCE
  "#include \"server/admin/page/page.h\"\n\n"
  "namespace holdfast::admin {\n\n"
  "absl::string_view StatusPage() {\n  return R\"page(${PAGE})page\";\n}\n\n"
  "absl::string_view StatusPagePolicy() {\n  return \"${POLICY}\";\n}\n\n"
  "}  // namespace holdfast::admin\n")
file(WRITE ${OUTPUT} "${SOURCE}")
