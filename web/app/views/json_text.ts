/** Why a text is not JSON, or undefined if it is. */
export function jsonFault(text: string): string | undefined {
  try {
    JSON.parse(text)
    return undefined
  } catch (error) {
    return error instanceof Error ? error.message : `${error}`
  }
}

export function isJson(text: string): boolean {
  return jsonFault(text) === undefined
}
