# SPDX-License-Identifier: MIT
# What Debian wants otherwise than `cmake --install` leaves it, done to the folder that is about to be packed.
set(root "${CPACK_TEMPORARY_DIRECTORY}/usr")
set(doc "${root}/share/doc/${CPACK_PACKAGE_NAME}")
if(NOT IS_DIRECTORY "${doc}")
  message(FATAL_ERROR "${doc}: nothing was installed there")
endif()

function(compress)
  execute_process(COMMAND gzip -n9 ${ARGN} COMMAND_ERROR_IS_FATAL ANY)
endfunction()

file(GLOB pages "${root}/share/man/man*/*.[1-9]")
compress(${pages})

# The author's changelog, and one that says what this package is.
set(version "${CPACK_PACKAGE_VERSION}-${CPACK_DEBIAN_PACKAGE_RELEASE}")
file(TIMESTAMP "${doc}/CHANGELOG.md" date "%a, %d %b %Y %H:%M:%S +0000" UTC)
file(WRITE "${doc}/changelog.Debian"
"${CPACK_PACKAGE_NAME} (${version}) bookworm; urgency=medium

  * Built from the sources by CPack; what is new in them: changelog.gz.

 -- ${CPACK_PACKAGE_CONTACT}  ${date}
")
file(RENAME "${doc}/CHANGELOG.md" "${doc}/changelog")
compress("${doc}/changelog" "${doc}/changelog.Debian")

file(READ "${doc}/LICENSE" license)
string(REGEX MATCH "Copyright [^\n]*" copyright "${license}")
string(REGEX REPLACE "^Copyright \\(c\\) " "" copyright "${copyright}")
string(REGEX REPLACE "^.*\n(Permission is hereby granted)" "\\1" terms "${license}")
string(STRIP "${terms}" terms)
string(REGEX REPLACE "\n" "\n " terms "${terms}")
string(REGEX REPLACE "\n \n" "\n .\n" terms "${terms}")
file(WRITE "${doc}/copyright"
"Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/
Upstream-Name: ${CPACK_PACKAGE_NAME}

Files: *
Copyright: ${copyright}
License: Expat

License: Expat
 ${terms}
")
file(REMOVE "${doc}/LICENSE")
file(READ "${doc}/README.md" readme)
string(REPLACE "[LICENSE](LICENSE)" "[copyright](copyright)" readme "${readme}")
string(REPLACE "\n## Two commands\n" "
This is the README of the sources. Installed, the programs are on the `PATH`; `./run`, the demo and `pvrelay-export-gen` are in a clone only. The
mapping to copy is `/usr/share/pvrelay/mappings/el-to-hub.json`.

## Two commands
" readme "${readme}")
file(WRITE "${doc}/README.md" "${readme}")

file(MAKE_DIRECTORY "${root}/share/lintian/overrides")
file(COPY_FILE "${CMAKE_CURRENT_LIST_DIR}/debian/lintian-overrides" "${root}/share/lintian/overrides/${CPACK_PACKAGE_NAME}")
