import { pieces } from './ansi'

/** A line of a log with the colours of a terminal; it is never read as HTML. */
export function Coloured({ text }: { text: string }) {
  return (
    <>
      {pieces(text).map((piece, at) =>
        piece.style ? (
          <span key={at} class={piece.style}>
            {piece.text}
          </span>
        ) : (
          piece.text
        ),
      )}
    </>
  )
}
