# Writes OUTPUT, a C++ source with the text of each of FILES and of GRANTS. Run by sql/CMakeLists.txt.

set(TEXT "#include \"sql/migrations.h\"\n\nnamespace holdfast::sql {\n\nconst std::vector<Migration>& Migrations() {\n  static const auto* const migrations = new std::vector<Migration>{\n")
foreach(FILE ${FILES})
  get_filename_component(NAME ${FILE} NAME_WE)
  string(REGEX MATCH "^[0-9]+" VERSION ${NAME})
  string(REGEX REPLACE "^0+" "" VERSION ${VERSION})
  file(READ ${FILE} SQL)
  string(APPEND TEXT "      {${VERSION}, \"${NAME}\", R\"sql(${SQL})sql\"},\n")
endforeach()
string(APPEND TEXT "  };\n  return *migrations;\n}\n\n")
file(READ ${GRANTS} SQL)
string(APPEND TEXT "const char* Grants() {\n  return R\"sql(${SQL})sql\";\n}\n\n}  // namespace holdfast::sql\n")
file(WRITE ${OUTPUT} "${TEXT}")
