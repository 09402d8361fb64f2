# SPDX-License-Identifier: MIT
# pr_with_needs(ret_sources source...): the sources, and those of the foundation (memory, files, text, JSON) that they include. A test lists
# the sources that it is about; that an error's text is escaped on its way needs no mention in each.
function(pr_with_needs ret_sources)
  set(sources ${ARGN})
  set(todo ${ARGN})
  while(todo)
    list(POP_FRONT todo source)
    file(STRINGS ${PROJECT_SOURCE_DIR}/${source} includes REGEX "^#include \"common/(alloc|file|json|sync|text|utf8)\\.h\"")
    foreach(include ${includes})
      string(REGEX REPLACE ".*\"(.*)\\.h\"" "\\1.c" needed ${include})
      if(NOT needed IN_LIST sources)
        list(APPEND sources ${needed})
        list(APPEND todo ${needed})
      endif()
    endforeach()
  endwhile()
  set(${ret_sources} ${sources} PARENT_SCOPE)
endfunction()
