/** What a person types to find trees: `nightly tag:linux by:crawler cel:subtree.failed > 0`. */
export interface Asked {
  namePrefix?: string
  tags?: string
  createdBy?: string
  expression?: string
}

export function parsed(text: string): Asked {
  const asked: Asked = {}
  // An expression has spaces, so it is the rest of the text.
  const at = text.search(/(^|\s)cel:/)
  if (at >= 0) {
    const expression = text
      .slice(at)
      .replace(/^\s*cel:/, '')
      .trim()
    if (expression) asked.expression = expression
  }
  const tags: string[] = []
  const words: string[] = []
  for (const word of (at >= 0 ? text.slice(0, at) : text).split(/\s+/).filter(Boolean)) {
    if (word.startsWith('tag:')) tags.push(word.slice(4))
    else if (word.startsWith('by:')) asked.createdBy = word.slice(3)
    else words.push(word)
  }
  if (tags.filter(Boolean).length > 0) asked.tags = tags.filter(Boolean).join(',')
  if (!asked.createdBy) delete asked.createdBy
  if (words.length > 0) asked.namePrefix = words.join(' ')
  return asked
}
